/* SPDX-License-Identifier: Apache-2.0 */
/* A store with its loop, mailbox and metrics, and puts that can be waited for. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "store/store.h"

enum { FIXTURE_PATH_BYTES = 64 };

struct health_rules;
struct uv_loop_s;

struct store_fixture {
    struct uv_loop_s *loop;
    struct mailbox *mailbox;
    struct metrics *metrics;
    const struct kernels *kernels;
    struct store *store;                /* NULL while closed */
    char directory[FIXTURE_PATH_BYTES]; /* "" = in memory */
    uint32_t queue_max;
    uint64_t codes_max; /* of the store's config, as are the next four */
    struct store_retention retention;
    const struct health_rules *rules;
    void (*filed)(void *arg); /* of the store's config, when it is opened */
    void *filed_arg;
    enum trit_partial_group partial; /* of the puts that follow */
    bool counts_late;                /* their flips are counted at commit only */
};

/* The report at a step, or the newest, of replica 0 in the lineage. */
#define GET(run_, layer_, has_step_, step_)                                              \
    &(const struct store_get)                                                            \
    {                                                                                    \
        .run = (run_), .layer = (layer_), .has_step = (has_step_), .step = (step_)       \
    }

/* A temporary directory of its own, or none (in memory); the store is open. */
void store_fixture_init(struct store_fixture *fixture, bool in_memory);

/* The same in a directory of memory, where the machine has one (/dev/shm): for tests
 * that open stores thousands of times and need no disk for that. */
void store_fixture_init_fast(struct store_fixture *fixture);

/* Closes the store if open and removes the directory. */
void store_fixture_fini(struct store_fixture *fixture);

void store_fixture_close_store(struct store_fixture *fixture);
/* 0 or -1, as store_open. */
int store_fixture_open_store(struct store_fixture *fixture, struct failure *failure);

/* One put and what came of it. */
struct fixture_put {
    struct store_put put;
    struct trit_report report; /* put.report points here */
    struct store_fixture *fixture;
    bool done;
    unsigned drained; /* times drained() came since the last codes */
};

/* For puts driven by hand: set `done`, and count `drained`, of the fixture_put
 * they begin. */
void fixture_done(struct store_put *put);
void fixture_drained(struct store_put *put);

/* A report of a f32 tensor [rows, row_len]; the digest is made of `digest`. */
void fixture_report(struct trit_report *report, const char *run, const char *layer,
                    uint64_t step, unsigned digest, uint64_t rows, uint64_t row_len,
                    uint32_t group_size);

/* Begin; codes (may be NULL) in pieces of `piece` bytes, waiting where the store
 * says so; commit. Returns -1 where begin refused. Not yet done. */
int fixture_put_start(struct store_fixture *fixture, struct fixture_put *put,
                      const struct trit_report *report, const uint8_t *codes,
                      size_t bytes, size_t piece);
/* Runs the loop until drained(); set `drained` to 0 before the codes. */
void fixture_put_drain(struct fixture_put *put);
/* Runs the loop until done(). */
void fixture_put_wait(struct fixture_put *put);
/* Both. The put's failure and report hold the result. */
void fixture_put(struct store_fixture *fixture, struct fixture_put *put,
                 const struct trit_report *report, const uint8_t *codes, size_t bytes);
#endif
