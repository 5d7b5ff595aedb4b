/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at any moment: what was acknowledged is there, and what was half
 * uploaded is not. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_fixture.h"

#if defined(__aarch64__) /* emulated */
enum { ROUNDS = 2 };     /* lives of the writer process */
#else
enum { ROUNDS = 12 };
#endif

enum {
    ALIVE = 16,     /* puts in flight */
    ACKS_MAX = 400, /* a life ends by kill after at most so many */
    CODES_BYTES = 70000,
    LAYERS = 3,
};

/* An acknowledged report, as the child tells its parent. */
struct ack {
    uint32_t layer;
    uint64_t step;
};

static void key(struct trit_report *report, uint32_t layer, uint64_t step)
{
    char name[16];

    snprintf(name, sizeof(name), "layer%u", (unsigned)layer);
    fixture_report(report, "run", name, step, (unsigned)(step * LAYERS + layer), 1,
                   4 * CODES_BYTES, 128);
}

/* The child: files reports of a few layers for ever, some with codes, and writes
 * each acknowledged key to the pipe. The parent kills it. */
static _Noreturn void live(struct store_fixture *fixture, int pipe, uint64_t step)
{
    static struct fixture_put puts[ALIVE];
    static uint8_t codes[CODES_BYTES];
    struct trit_report report;

    /* A loop of its own: the parent's shares its descriptors. */
    fixture->loop = loop_create();
    if (mailbox_create(&fixture->mailbox, fixture->loop, NULL) ||
        store_fixture_open_store(fixture, NULL))
        _exit(3);
    for (;;) {
        for (uint32_t i = 0; i < ALIVE; i++) {
            key(&report, i % LAYERS, step + i);
            if (fixture_put_start(fixture, &puts[i], &report, i % 4 ? NULL : codes,
                                  sizeof(codes), 9999))
                _exit(4);
        }
        for (uint32_t i = 0; i < ALIVE; i++) {
            struct ack ack = {.layer = i % LAYERS, .step = step + i};

            fixture_put_wait(&puts[i]);
            if (puts[i].put.failure.status != TRIT_OK)
                _exit(5);
            if (write(pipe, &ack, sizeof(ack)) != sizeof(ack))
                _exit(6);
        }
        step += ALIVE;
    }
}

/* Reads acknowledgements until `count` came, kills, and takes the rest. */
static size_t kill_after(pid_t child, int pipe, size_t count, struct ack *acks,
                         size_t capacity)
{
    size_t seen = 0;

    while (seen < capacity && read(pipe, &acks[seen], sizeof(acks[0])) == sizeof(acks[0]))
        if (++seen == count)
            kill(child, SIGKILL);
    return seen;
}

static void check_acks(struct store_fixture *fixture, const struct ack *acks,
                       size_t count)
{
    struct store_reader *reader;
    struct trit_report want, got;

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    for (size_t i = 0; i < count; i++) {
        key(&want, acks[i].layer, acks[i].step);
        if (store_read_report(reader, GET(want.run, want.layer, true, want.step), &got,
                              NULL))
            check_failed(__FILE__, __LINE__, "layer %u step %" PRIu64 " was acknowledged",
                         (unsigned)acks[i].layer, acks[i].step);
        CHECK_MEM(got.digest, want.digest, sizeof(got.digest));
    }
    store_reader_close(reader);
}

CASE(acknowledged_is_there,
     "after kill -9 at any moment every acknowledged report is present")
{
    struct store_fixture fixture;
    size_t capacity = (size_t)ROUNDS * (ACKS_MAX + 2 * ALIVE + 8192), seen = 0;
    struct ack *acks = calloc(capacity, sizeof(*acks));
    uint64_t random = check_seed();

    CHECK(acks);
    store_fixture_init(&fixture, false);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t step = seen ? acks[seen - 1].step + 2 * ALIVE : 0;
        int ends[2], status;
        pid_t child;

        store_fixture_close_store(&fixture);
        CHECK(pipe(ends) == 0);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            close(ends[0]);
            live(&fixture, ends[1], step);
        }
        close(ends[1]);
        seen += kill_after(child, ends[0], 1 + check_random(&random) % ACKS_MAX,
                           acks + seen, capacity - seen);
        close(ends[0]);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK(store_fixture_open_store(&fixture, NULL) == 0);
        check_acks(&fixture, acks, seen);
    }
    CHECK(seen >= ROUNDS);
    free(acks);
    store_fixture_fini(&fixture);
}

/* ---- changes --------------------------------------------------------------- */

/* A run in which each round of the child files steps, rewinds and deletes. What it says
 * about a round comes after all of the round was acknowledged. */
enum { ROUND_STEPS = 6 };

static bool change_done;

static void note_done(struct store_change *change)
{
    if (change->failure.status != TRIT_OK)
        _exit(7);
    change_done = true;
}

static bool see_done(void *arg)
{
    (void)arg;
    return change_done;
}

static void change(struct store_fixture *fixture,
                   int make(struct store_change *, struct store *, struct failure *),
                   struct store_change in)
{
    static struct store_change changing;

    changing = in;
    changing.done = note_done;
    change_done = false;
    if (make(&changing, fixture->store, NULL))
        _exit(8);
    loop_run_until(fixture->loop, see_done, NULL);
}

/* Round n: files 10 n to 10 n + 5, rewinds to 10 n + 3, deletes 10 n + 1, and forks. So of
 * the round 0, 2 and 3 stay in the lineage. */
static _Noreturn void live_changing(struct store_fixture *fixture, int pipe,
                                    uint64_t round)
{
    static struct fixture_put put;
    static uint8_t codes[CODES_BYTES];
    struct trit_report report;

    fixture->loop = loop_create();
    if (mailbox_create(&fixture->mailbox, fixture->loop, NULL) ||
        store_fixture_open_store(fixture, NULL))
        _exit(3);
    for (;; round++) {
        struct store_change fork = {.run = "run", .step = 10 * round + 2};
        struct ack ack = {.step = round};

        for (uint64_t step = 10 * round; step < 10 * round + ROUND_STEPS; step++) {
            key(&report, 0, step);
            fixture_put(fixture, &put, &report, codes, sizeof(codes));
            if (put.put.failure.status != TRIT_OK)
                _exit(5);
        }
        change(fixture, store_rewind,
               (struct store_change){.run = "run", .step = 10 * round + 3});
        change(fixture, store_delete,
               (struct store_change){
                   .run = "run", .step_from = 10 * round + 1, .step_to = 10 * round + 1});
        snprintf(fork.new_run, sizeof(fork.new_run), "fork%" PRIu64, round);
        change(fixture, store_fork, fork);
        if (write(pipe, &ack, sizeof(ack)) != sizeof(ack))
            _exit(6);
    }
}

static bool is_there(struct store_fixture *fixture, const char *run, const char *layer,
                     uint64_t step)
{
    struct store_reader *reader;
    struct trit_report report;
    struct failure failure = {0};

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    store_read_report(reader, GET(run, layer, true, step), &report, &failure);
    store_reader_close(reader);
    if (failure.status != TRIT_OK && failure.status != TRIT_NOT_FOUND)
        check_failed(__FILE__, __LINE__, "step %" PRIu64 ": %s", step, failure.message);
    return failure.status == TRIT_OK;
}

static void damaged(void *arg, const char *message)
{
    (void)arg;
    check_failed(__FILE__, __LINE__, "%s", message);
}

static void check_rounds(struct store_fixture *fixture, uint64_t rounds)
{
    char name[32];

    for (uint64_t round = 0; round < rounds; round++) {
        for (uint64_t step = 0; step < ROUND_STEPS; step++)
            CHECK_EQ(is_there(fixture, "run", "layer0", 10 * round + step),
                     step == 0 || step == 2 || step == 3);
        snprintf(name, sizeof(name), "fork%" PRIu64, round);
        CHECK(is_there(fixture, name, "layer0", 10 * round + 2));
        CHECK(!is_there(fixture, name, "layer0", 10 * round + 3));
    }
}

CASE(changes_are_there,
     "after kill -9 at any moment every acknowledged rewind, fork and deletion is done")
{
    struct store_fixture fixture;
    struct store_counts counts;
    uint64_t random = check_seed();

    for (int round = 0; round < ROUNDS; round++) {
        static struct ack acks[ACKS_MAX];
        int ends[2], status;
        pid_t child;

        store_fixture_init_fast(&fixture);
        fixture.codes_max = 4 * CODES_BYTES;
        store_fixture_close_store(&fixture);
        CHECK(pipe(ends) == 0);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            close(ends[0]);
            live_changing(&fixture, ends[1], 0);
        }
        close(ends[1]);
        size_t seen =
            kill_after(child, ends[0], 1 + check_random(&random) % 4, acks, ACKS_MAX);

        close(ends[0]);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK(store_check(fixture.directory, damaged, NULL, &counts, NULL) == 0);
        CHECK(store_fixture_open_store(&fixture, NULL) == 0);
        check_rounds(&fixture, seen);
        store_fixture_fini(&fixture);
    }
}

/* ---- retention ------------------------------------------------------------- */

/* The rule keeps the newest RETAINED reports of a layer. The store is opened with so many
 * that their deletion takes several slices, in which the child is killed. */
enum { RETAINED = 20, OLD_STEPS = 512, RETAIN_ROUNDS = 8, RETAIN_ACKS = 60 };

static void file_old(struct store_fixture *fixture)
{
    static struct fixture_put puts[ALIVE];
    struct trit_report report;

    for (uint64_t at = 0; at < (uint64_t)LAYERS * OLD_STEPS; at += ALIVE) {
        for (uint64_t i = 0; i < ALIVE; i++) {
            key(&report, (uint32_t)((at + i) / OLD_STEPS), (at + i) % OLD_STEPS);
            CHECK(fixture_put_start(fixture, &puts[i], &report, NULL, 0, 1) == 0);
        }
        for (uint64_t i = 0; i < ALIVE; i++)
            fixture_put_wait(&puts[i]);
    }
}

/* The reports of a layer that were acknowledged, in order of steps: its old ones, and those
 * of the child. Of them the last are there, and none is missing after one that is there. */
static void check_retained(struct store_fixture *fixture, uint32_t layer,
                           const struct ack *acks, size_t seen)
{
    size_t there = 0;
    char name[16];

    snprintf(name, sizeof(name), "layer%u", (unsigned)layer);
    for (uint64_t step = 0; step < OLD_STEPS; step++) {
        if (is_there(fixture, "run", name, step))
            there++;
        else
            CHECK_EQ(there, 0);
    }
    for (size_t i = 0; i < seen; i++) {
        if (acks[i].layer != layer)
            continue;
        if (is_there(fixture, "run", name, acks[i].step))
            there++;
        else
            CHECK_EQ(there, 0);
    }
    /* The child may have stored ALIVE more, which were not acknowledged. */
    CHECK(there >= RETAINED - ALIVE);
}

CASE(retained_is_there,
     "after kill -9 at any moment of retention what it keeps is there, without a hole")
{
    struct store_fixture fixture;
    struct store_counts counts;
    uint64_t random = check_seed();

    for (int round = 0; round < RETAIN_ROUNDS; round++) {
        static struct ack acks[ACKS_MAX];
        int ends[2], status;

        store_fixture_init_fast(&fixture);
        file_old(&fixture);
        store_fixture_close_store(&fixture);
        CHECK(store_retention_add(&fixture.retention, "count=20", NULL) == 0);
        CHECK(pipe(ends) == 0);
        const pid_t child = fork();

        CHECK(child >= 0);
        if (child == 0) {
            close(ends[0]);
            live(&fixture, ends[1], OLD_STEPS);
        }
        close(ends[1]);
        const size_t seen = kill_after(
            child, ends[0], 1 + check_random(&random) % RETAIN_ACKS, acks, ACKS_MAX);

        close(ends[0]);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        CHECK(store_check(fixture.directory, damaged, NULL, &counts, NULL) == 0);
        fixture.retention.count = 0;
        CHECK(store_fixture_open_store(&fixture, NULL) == 0);
        for (uint32_t layer = 0; layer < LAYERS; layer++)
            check_retained(&fixture, layer, acks, seen);
        store_fixture_fini(&fixture);
    }
}
