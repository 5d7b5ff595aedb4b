/* SPDX-License-Identifier: Apache-2.0 */
/* Copies the lineage of a run into a new one, in steps. Until the last step the new run is
 * FORMING: nobody sees it. Codes are shared by both runs. */
#ifndef STORE_FORK_H
#define STORE_FORK_H

#include "store/run.h"

enum { FORK_REPORTS_MAX = 256 }; /* copied by one step */

struct counters;
struct health_rules;

struct fork {
    char from[TRIT_NAME_BYTES_MAX + 1], to[TRIT_NAME_BYTES_MAX + 1];
    int64_t step; /* the last that is copied */
    bool begun;   /* some reports are on disk */
    bool prepared;
    struct run_row source; /* as it was at the first step */
    struct layer_key at;   /* the layer to go on with */
    int64_t next;          /* its step to go on with */
};

/* 1: more steps are to follow. 0: complete. -1: roll back; *fork and *reports are as they
 * were. NOT_FOUND: there is nothing to copy. ALREADY_EXISTS. */
int fork_step(struct db *db, struct counters *next, const struct health_rules *rules,
              struct fork *fork, uint64_t *reports, struct failure *failure);

#endif
