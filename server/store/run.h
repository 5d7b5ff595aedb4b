/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of runs, and which reports belong to a run's lineage.
 *
 * Attempts count from 1. Each resumed after a step: later steps of the attempts before it
 * are superseded. The lineage of a run is what its newest attempt consists of: for each
 * step, the report of the newest attempt that resumed before that step.
 *
 *   attempt 1   1 2 3 4 5 6 7 8
 *   attempt 2           5 6 7         resumed after 4: supersedes 5 to 8 of attempt 1
 *   attempt 3               7 8 9     resumed after 6: supersedes 7 of attempt 2
 *   lineage     1 2 3 4 5 6 7 8 9
 *
 * A run has a row if and only if it has a row in the table of layers. */
#ifndef STORE_RUN_H
#define STORE_RUN_H

#include "store/row.h"

enum { RUN_ATTEMPTS_MAX = 1000 };

/* Flags. They are on disk. */
enum {
    RUN_OPEN = 0,
    RUN_FORMING = 1,    /* a fork is being copied: it cannot be read or written yet */
    RUN_REPLICATED = 2, /* it has reports of other replicas than 0 */
};
enum attempt_start {
    ATTEMPT_BY_PUT = 0,    /* a report began it; reports of lower steps may follow */
    ATTEMPT_BY_REWIND = 1, /* its step was given */
};

struct run_row {
    char run[TRIT_NAME_BYTES_MAX + 2];
    int64_t state;
    uint32_t attempts; /* how many; the newest. 0: there is no such run */
    /* of attempt i + 1 */
    int64_t after[RUN_ATTEMPTS_MAX]; /* the step that it resumed after, or STEP_NONE */
    uint8_t start[RUN_ATTEMPTS_MAX];
};

/* Returns 1: *row is the run. Returns 0: it does not exist, which is proved; *row has its
 * name and no attempts. Returns -1: failure. */
int find_run(struct db *db, const char *run, struct run_row *row,
             struct failure *failure);

/* Drops it from the writer's cache: the next find_run reads it from the table. */
void run_row_forget(struct db *db, const char *run);

/* Copies a row without the space of attempts that it does not have. */
void run_row_copy(struct run_row *to, const struct run_row *from);

/* Adds an attempt, in memory. -1 with RESOURCE_EXHAUSTED: there are too many. */
int run_add_attempt(struct db *db, struct run_row *row, int64_t after,
                    enum attempt_start start, struct failure *failure);

/* Writes the row, new or not. */
int run_row_put(struct db *db, const struct run_row *row, struct failure *failure);
int run_row_delete(struct db *db, const char *run, struct failure *failure);

/* Reads what is left of a damaged row, given what the run's layers show: its state, and its
 * newest attempt. 1: *row is what it was, as its checksum says, or as all but the checksum
 * says. 0: that cannot be known. */
int run_row_salvage(struct db *db, const char *run, int64_t state, int64_t attempts,
                    struct run_row *row, struct failure *failure);

/* The last step of an attempt that is not superseded; INT64_MAX for the newest attempt.
 * The attempt's steps begin above after[attempt - 1]. */
int64_t run_until(const struct run_row *row, int64_t attempt);

/* Which attempt a step of the lineage belongs to. */
uint32_t run_attempt_at(const struct run_row *row, int64_t step);

/* Which steps a query sees of a layer, whatever its row says. Attempt 0: those in the
 * lineage. False: none, or the run has no such attempt. */
bool visible_range(const struct run_row *run, uint32_t attempt,
                   const struct layer_key *key, int64_t *from, int64_t *to);

/* Which steps of a layer's row a query sees. Attempt 0: those in the lineage. False: no
 * step. */
bool visible_steps(const struct run_row *run, uint32_t attempt,
                   const struct layer_row *layer, int64_t *from, int64_t *to);

/* NOT_FOUND: the run has no such attempt. 0 is the newest one. */
int run_check_attempt(const struct run_row *run, uint32_t attempt,
                      struct failure *failure);

#endif
