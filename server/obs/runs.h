/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of runs: tritd_run_...{run}. Their label is a name that clients gave, so their
 * number has a bound, which the caller keeps: it sets the newest runs and says how many
 * are left out. */
#ifndef OBS_RUNS_H
#define OBS_RUNS_H

#include "obs/metrics.h"
#include "trit/types.h"

/* Values of the layers that are worst in them; NAN: no layer has one. */
enum metrics_worst {
    WORST_ZERO_FRACTION,
    WORST_DEAD_GROUPS,
    WORST_FLIP_FRACTION,
    WORST_SCALE_DRIFT,
    WORST_NON_FINITE,
    WORST_COUNT,
};

struct metrics_run {
    char run[TRIT_NAME_BYTES_MAX + 1];
    uint64_t layers[TRIT_HEALTH_FAILING + 1]; /* by health */
    int64_t time_unix_ns;                     /* of the newest report */
    double worst[WORST_COUNT];
};

/* Takes `runs`, which free() frees, in place of those before. Any thread. */
void metrics_set_runs(struct metrics *metrics, struct metrics_run *runs, size_t count,
                      uint64_t left_out);

/* ---- inside obs ---- */

struct exposition;
void put_runs(const struct exposition *to, struct metrics *metrics);

#endif
