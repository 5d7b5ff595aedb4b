/* SPDX-License-Identifier: Apache-2.0 */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "async/loop.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"
#include "work/pool.h"

/* ---- fixture ----------------------------------------------------------------------- */

enum { JOBS = 2000 };

struct fixture {
    struct uv_loop_s *loop;
    struct mailbox *mailbox;
    struct pool *pool;
    pthread_t loop_thread;
    int done_count, wanted;
    bool wrong_thread;
};

struct task {
    struct job job;
    struct fixture *fixture;
    int runs, dones;
    int again;               /* times done() submits it once more */
    pthread_barrier_t *gate; /* run() waits here twice, if set */
    bool on_loop;            /* run() was on the loop's thread */
    bool signals_blocked, rounds_to_nearest;
    const uint8_t *scratch;
    int fill;  /* what run() writes to it */
    int order; /* of its run, where counter is set */
    int *counter;
};

static void fixture_open(struct fixture *f, unsigned threads)
{
    memset(f, 0, sizeof(*f));
    f->loop = loop_create();
    f->loop_thread = pthread_self();
    CHECK(mailbox_create(&f->mailbox, f->loop, NULL) == 0);
    CHECK(pool_start(&f->pool, threads, f->mailbox, NULL) == 0);
}

static void fixture_close(struct fixture *f)
{
    pool_stop(f->pool);
    mailbox_close(f->mailbox);
    loop_destroy(f->loop);
    CHECK(!f->wrong_thread);
}

static void task_run(struct job *job)
{
    struct task *task = LIST_OWNER(job, struct task, job);
    sigset_t mask;

    if (task->gate) {
        pthread_barrier_wait(task->gate);
        pthread_barrier_wait(task->gate);
    }
    task->runs++;
    task->on_loop = pthread_equal(pthread_self(), task->fixture->loop_thread);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    task->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT) &&
                            sigismember(&mask, SIGUSR1);
    task->rounds_to_nearest = fegetround() == FE_TONEAREST;
    task->scratch = job->scratch;
    memset(job->scratch, task->fill, (size_t)SCRATCH_PARTS * SCRATCH_PART_BYTES);
    if (task->counter)
        task->order = (*task->counter)++;
}

static void task_done(struct job *job)
{
    struct task *task = LIST_OWNER(job, struct task, job);
    struct fixture *f = task->fixture;

    f->wrong_thread |= !pthread_equal(pthread_self(), f->loop_thread);
    f->done_count++;
    task->dones++;
    if (task->again > 0) {
        task->again--;
        pool_submit(f->pool, job);
    }
}

static void task_init(struct task *task, struct fixture *f)
{
    memset(task, 0, sizeof(*task));
    task->fixture = f;
    task->job.run = task_run;
    task->job.done = task_done;
}

static bool all_done(void *arg)
{
    struct fixture *f = arg;

    return f->done_count == f->wanted;
}

static void run_until_done(struct fixture *f, int wanted)
{
    f->wanted = wanted;
    loop_run_until(f->loop, all_done, f);
}

/* A pool of one worker, which runs `blocker` until let_go. */
static void fixture_open_busy(struct fixture *f, struct task *blocker,
                              _Atomic bool *cancelled, pthread_barrier_t *gate)
{
    pthread_barrier_init(gate, NULL, 2);
    fixture_open(f, 1);
    task_init(blocker, f);
    blocker->gate = gate;
    blocker->job.cancelled = cancelled;
    pool_submit(f->pool, &blocker->job);
    pthread_barrier_wait(gate); /* it runs now */
}

/* Runs until `wanted` jobs are done, the blocker among them. */
static void let_go(struct fixture *f, pthread_barrier_t *gate, int wanted)
{
    pthread_barrier_wait(gate);
    run_until_done(f, wanted);
    pthread_barrier_destroy(gate);
}

/* ---- cases ------------------------------------------------------------------------- */

CASE(runs_every_job_once,
     "every job runs once on a worker with signals blocked, and is done once on the loop")
{
    static struct task tasks[JOBS];
    struct fixture f;

    fixture_open(&f, 4);
    CHECK_EQ(pool_threads(f.pool), 4);
    for (int i = 0; i < JOBS; i++) {
        task_init(&tasks[i], &f);
        pool_submit(f.pool, &tasks[i].job);
    }
    CHECK_EQ(f.done_count, 0);
    run_until_done(&f, JOBS);
    for (int i = 0; i < JOBS; i++)
        CHECK(tasks[i].runs == 1 && tasks[i].dones == 1 && !tasks[i].job.skipped &&
              !tasks[i].on_loop && tasks[i].signals_blocked &&
              tasks[i].rounds_to_nearest);
    CHECK_EQ(pool_queued(f.pool), 0);
    fixture_close(&f);
}

static void run_and_free(struct job *job)
{
    struct task *task = LIST_OWNER(job, struct task, job);

    (*task->counter)++;
    free(task);
}

CASE(frees_itself, "a job without done() runs once, may free itself and wakes no loop")
{
    struct fixture f;
    int counter = 0;

    fixture_open(&f, 1);
    for (int i = 0; i < 100; i++) {
        struct task *task = malloc(sizeof(*task));

        CHECK(task);
        task_init(task, &f);
        task->counter = &counter;
        task->job.run = run_and_free;
        task->job.done = NULL;
        pool_submit(f.pool, &task->job);
    }
    pool_stop(f.pool);
    f.pool = NULL;
    CHECK_EQ(counter, 100);
    CHECK_EQ(f.done_count, 0);
    fixture_close(&f);
}

CASE(keeps_order_with_one_worker,
     "a single worker runs jobs in the order they were submitted, with the same scratch")
{
    static struct task tasks[100];
    struct fixture f;
    int counter = 0;

    fixture_open(&f, 1);
    for (int i = 0; i < 100; i++) {
        task_init(&tasks[i], &f);
        tasks[i].counter = &counter;
        pool_submit(f.pool, &tasks[i].job);
    }
    run_until_done(&f, 100);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(tasks[i].order, i);
        CHECK(tasks[i].scratch == tasks[0].scratch);
    }
    CHECK_EQ((uintptr_t)tasks[0].scratch % 64, 0);
    fixture_close(&f);
}

CASE(skips_the_cancelled,
     "a job cancelled before it starts is skipped, and its done is still called")
{
    _Atomic bool cancelled = false;
    pthread_barrier_t gate;
    struct task blocker, tasks[10];
    struct fixture f;

    fixture_open_busy(&f, &blocker, &cancelled, &gate); /* too late to cancel it */
    for (int i = 0; i < 10; i++) {
        task_init(&tasks[i], &f);
        tasks[i].job.cancelled = i % 2 == 0 ? &cancelled : NULL;
        pool_submit(f.pool, &tasks[i].job);
    }
    CHECK_EQ(pool_queued(f.pool), 10);
    cancelled = true;
    let_go(&f, &gate, 11);
    CHECK(blocker.runs == 1 && !blocker.job.skipped);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(tasks[i].runs, i % 2);
        CHECK_EQ(tasks[i].job.skipped, i % 2 == 0);
        CHECK_EQ(tasks[i].dones, 1);
    }
    fixture_close(&f);
}

CASE(done_may_submit_again, "a job's done may submit it again")
{
    struct task task;
    struct fixture f;

    fixture_open(&f, 2);
    task_init(&task, &f);
    task.again = 50;
    pool_submit(f.pool, &task.job);
    run_until_done(&f, 51);
    CHECK_EQ(task.runs, 51);
    fixture_close(&f);
}

CASE(withdraws_the_next,
     "the next job of the queue is withdrawn: it neither runs nor is done; no other is")
{
    struct task tasks[3];
    pthread_barrier_t gate;
    struct fixture f;

    fixture_open_busy(&f, &tasks[0], NULL, &gate);
    for (int i = 1; i < 3; i++) {
        task_init(&tasks[i], &f);
        pool_submit(f.pool, &tasks[i].job);
    }
    CHECK(!pool_withdraw(f.pool, &tasks[0].job));
    CHECK(!pool_withdraw(f.pool, &tasks[2].job));
    CHECK(pool_withdraw(f.pool, &tasks[1].job));
    CHECK(!pool_withdraw(f.pool, &tasks[1].job));
    CHECK_EQ(pool_queued(f.pool), 1);
    let_go(&f, &gate, 2);
    CHECK(tasks[0].runs == 1 && tasks[2].runs == 1);
    CHECK(tasks[1].runs == 0 && tasks[1].dones == 0);
    fixture_close(&f);
}

CASE(stop_runs_out_the_queue,
     "stopping empties the queue, and every job's done is called")
{
    static struct task tasks[200];
    _Atomic bool cancelled = true;
    struct fixture f;

    fixture_open(&f, 2);
    for (int i = 0; i < 200; i++) {
        task_init(&tasks[i], &f);
        tasks[i].job.cancelled = i < 50 ? &cancelled : NULL;
        pool_submit(f.pool, &tasks[i].job);
    }
    pool_stop(f.pool);
    CHECK_EQ(f.done_count, 0);
    mailbox_close(f.mailbox);
    CHECK_EQ(f.done_count, 200);
    for (int i = 0; i < 200; i++)
        CHECK(tasks[i].runs == (i >= 50) && tasks[i].dones == 1);
    loop_destroy(f.loop);
    pool_stop(NULL);
}

/* As many jobs as workers, which end only when all of them run. */
static void run_together(struct fixture *f, struct task *tasks, int count, bool lingers)
{
    pthread_barrier_t gate;

    pthread_barrier_init(&gate, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        task_init(&tasks[i], f);
        tasks[i].gate = &gate;
        tasks[i].job.lingers = lingers;
        pool_submit(f->pool, &tasks[i].job);
    }
    run_until_done(f, f->done_count + count);
    pthread_barrier_destroy(&gate);
}

CASE(all_wake,
     "as many jobs as there are workers run at once, although one wakes at a time")
{
    enum { WORKERS = 5, TIMES = 50 };
    struct task tasks[WORKERS];
    struct fixture f;

    fixture_open(&f, WORKERS);
    for (int i = 0; i < TIMES; i++)
        run_together(&f, tasks, WORKERS - i % 3, false);
    fixture_close(&f);
}

CASE(lingers,
     "workers that look for the next job before they sleep take it, and others wake")
{
    enum { WORKERS = 3, TIMES = 200 };
    struct task tasks[WORKERS];
    struct fixture f;

    fixture_open(&f, WORKERS);
    for (int i = 0; i < TIMES; i++)
        run_together(&f, tasks, 1 + i % WORKERS, i % 5 < 3);
    fixture_close(&f);
}

CASE(starts_and_stops_idle, "a pool without jobs starts and stops")
{
    for (int i = 0; i < 50; i++) {
        struct fixture f;

        fixture_open(&f, 1 + (unsigned)i % 4);
        fixture_close(&f);
    }
}

CASE(zero_is_one_a_core, "0 threads means one per core, and too many are refused")
{
    struct fixture f;
    struct failure failure = {0};

    fixture_open(&f, 0);
    CHECK(pool_threads(f.pool) >= 1);
    CHECK(pool_threads(f.pool) <= (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    CHECK(pool_start(&f.pool, POOL_THREADS_MAX + 1, f.mailbox, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.message, "threads: 1025; must be at most 1024");
    fixture_close(&f);
}

CASE(start_fails_cleanly, "a pool that cannot start leaves nothing behind")
{
    struct uv_loop_s *loop = loop_create();
    struct mailbox *mailbox;
    struct pool *pool = NULL;
    bool failed;
    uint64_t n = 0;

    CHECK(mailbox_create(&mailbox, loop, NULL) == 0);
    do {
        struct failure failure = {0};
        int rc;

        fault_arm(FAULT_MEMORY | FAULT_THREAD, ++n, FAULT_ONCE);
        rc = pool_start(&pool, 3, mailbox, &failure);
        failed = fault_disarm();
        CHECK(rc == (failed ? -1 : 0));
        CHECK(failure.status == (failed ? TRIT_RESOURCE_EXHAUSTED : TRIT_OK));
        CHECK((!pool) == failed);
        if (n == 5)
            CHECK_STR(
                failure.message,
                "pool: cannot start thread 2 of 3: Resource temporarily unavailable");
    } while (failed);
    CHECK_EQ(n, 8);
    pool_stop(pool);
    mailbox_close(mailbox);
    loop_destroy(loop);
}

CASE(smallest_turn_first, "the job with the smallest turn runs first, then the oldest")
{
    static struct task blocker, tasks[200];
    uint64_t random = check_seed();
    pthread_barrier_t gate;
    struct fixture f;
    int counter = 0;

    fixture_open_busy(&f, &blocker, NULL, &gate);
    for (int i = 0; i < 200; i++) {
        task_init(&tasks[i], &f);
        tasks[i].counter = &counter;
        tasks[i].job.turn = check_random(&random) % 50;
        tasks[i].job.start = tasks[i].job.turn;
        pool_submit(f.pool, &tasks[i].job);
    }
    let_go(&f, &gate, 201);
    for (int i = 0; i < 200; i++)
        for (int k = 0; k < i; k++)
            CHECK((tasks[k].job.turn <= tasks[i].job.turn) ==
                  (tasks[k].order < tasks[i].order));
    CHECK(pool_turns(f.pool)->now < 50);
    fixture_close(&f);
}

CASE(done_on_its_own_loop, "a job that names a mailbox is done on that loop")
{
    struct uv_loop_s *loop = loop_create();
    struct mailbox *mailbox;
    struct fixture f;
    struct task task;

    fixture_open(&f, 1);
    CHECK(mailbox_create(&mailbox, loop, NULL) == 0);
    task_init(&task, &f);
    task.job.mailbox = mailbox;
    pool_submit(f.pool, &task.job);
    f.wanted = 1;
    loop_run_until(loop, all_done, &f);
    CHECK_EQ(task.dones, 1);
    mailbox_close(mailbox);
    loop_destroy(loop);
    fixture_close(&f);
}
