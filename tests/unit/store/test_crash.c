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

enum {
    ROUNDS = 12,    /* lives of the writer process */
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
