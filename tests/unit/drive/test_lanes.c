/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces that several threads do, and one takes in order. */
#include "drive/lanes.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"

enum { PIECES = 200, OVERTAKING = 50 };

struct piece {
    uint64_t number, result;
};

struct job {
    uint64_t next;
    atomic_uint_fast64_t taken;
    uint64_t fails_at, take_fails_at; /* PIECES: none */
    atomic_uint_fast64_t running, running_max, run;
    uint64_t waiting_for; /* a piece that waits until OVERTAKING after it have run */
    atomic_bool overtaken;
    atomic_bool wrong; /* a piece was not zeroed, or too many are under way */
    pthread_t caller;
};

static bool next_piece(void *owner, void *arg)
{
    struct job *job = owner;
    struct piece *piece = arg;

    if (piece->number || piece->result || job->next >= job->taken + LANES_AHEAD)
        atomic_store(&job->wrong, true);
    if (job->next == PIECES)
        return false;
    piece->number = job->next++;
    return true;
}

static void count_running(struct job *job)
{
    const uint64_t running = atomic_fetch_add(&job->running, 1) + 1;
    uint64_t most = atomic_load(&job->running_max);

    while (running > most &&
           !atomic_compare_exchange_weak(&job->running_max, &most, running))
        ;
}

static int run_piece(void *owner, void *arg, const atomic_bool *stopped,
                     struct failure *failure)
{
    struct job *job = owner;
    struct piece *piece = arg;
    int result = 0;

    count_running(job);
    if (piece->number == job->waiting_for)
        while (!atomic_load(&job->overtaken) && !atomic_load(stopped))
            sched_yield();
    if (piece->number == job->waiting_for + OVERTAKING)
        atomic_store(&job->overtaken, true);
    if (piece->number == job->fails_at)
        result = fail(failure, TRIT_DATA_LOSS, NULL, "piece %d", (int)piece->number);
    piece->result = piece->number * piece->number;
    atomic_fetch_add(&job->run, 1);
    atomic_fetch_sub(&job->running, 1);
    return result;
}

static int take_piece(void *owner, void *arg, struct failure *failure)
{
    struct job *job = owner;
    const struct piece *piece = arg;

    CHECK(pthread_equal(pthread_self(), job->caller));
    CHECK_EQ(piece->number, job->taken);
    CHECK_EQ(piece->result, piece->number * piece->number);
    if (piece->number == job->take_fails_at)
        return fail(failure, TRIT_INTERNAL, NULL, "taking %d", (int)piece->number);
    job->taken++;
    return 0;
}

static int run(struct job *job, struct failure *failure)
{
    const struct lanes_work work = {.owner = job,
                                    .piece_bytes = sizeof(struct piece),
                                    .next = next_piece,
                                    .run = run_piece,
                                    .take = take_piece};

    job->caller = pthread_self();
    return lanes_run(&work, failure);
}

static struct job new_job(void)
{
    return (struct job){
        .fails_at = PIECES, .take_fails_at = PIECES, .waiting_for = PIECES};
}

CASE(in_order, "every piece is done once, at most four at a time, and taken in order")
{
    struct job job = new_job();

    CHECK(run(&job, NULL) == 0);
    CHECK(!job.wrong);
    CHECK_EQ(job.taken, PIECES);
    CHECK_EQ(job.run, PIECES);
    CHECK(job.running_max <= LANES_MAX);
}

CASE(overlaps, "fifty pieces do not wait for the one before them")
{
    struct job job = new_job();

    job.waiting_for = 5;
    CHECK(run(&job, NULL) == 0);
    CHECK(job.overtaken && job.running_max > 1);
}

CASE(fails, "the pieces before a failed one are taken, and few after it are begun")
{
    struct job job = new_job();
    struct failure failure = {.status = TRIT_OK};

    job.fails_at = 50;
    CHECK(run(&job, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_DATA_LOSS);
    CHECK_STR(failure.message, "piece 50");
    CHECK_EQ(job.taken, 50);
    CHECK(job.run <= 50 + LANES_AHEAD);
}

CASE(take_fails, "a result that cannot be taken ends the work and stops what runs")
{
    struct job job = new_job();
    struct failure failure = {.status = TRIT_OK};

    job.take_fails_at = 20;
    job.waiting_for = 21;
    CHECK(run(&job, &failure) < 0);
    CHECK_STR(failure.message, "taking 20");
    CHECK_EQ(job.taken, 20);
    CHECK(job.run <= 20 + LANES_AHEAD);
}

CASE(memory, "without memory nothing is begun")
{
    struct job job = new_job();
    struct failure failure = {.status = TRIT_OK};

    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    const int result = run(&job, &failure);
    CHECK(fault_disarm() && result < 0);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_EQ(job.run, 0);
}
