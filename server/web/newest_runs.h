/* SPDX-License-Identifier: Apache-2.0 */
/* The newest runs of a store that may have many more than a page can list. */
#ifndef WEB_NEWEST_RUNS_H
#define WEB_NEWEST_RUNS_H

#include "store/store.h"

struct listed_run {
    char run[TRIT_NAME_BYTES_MAX + 1];
    uint64_t reports, step_min, step_max;
    bool has_steps;
    int64_t time_unix_ns; /* of its newest report */
    bool damaged;         /* a row of a layer or of the run: the sums are of others */
};

struct newest_runs {
    size_t max; /* set it; the rest begins as zeros */
    struct listed_run *rows;
    size_t count, capacity;
    bool failed; /* out of memory */
    bool more;   /* older runs are left out */
};

/* Adds a run. It holds twice `max` at most. False: out of memory. */
bool newest_runs_add(struct newest_runs *runs, const struct store_run_info *info);

/* After the last one: the newest first, at most `max`; runs of the same time in order of
 * their names. */
void newest_runs_finish(struct newest_runs *runs);

void newest_runs_fini(struct newest_runs *runs);

#endif
