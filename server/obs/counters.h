/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct metrics: metrics.c counts, exposition.c renders. */
#ifndef OBS_COUNTERS_H
#define OBS_COUNTERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "obs/metric_ids.h"

enum {
    STATUS_COUNT = TRIT_UNAUTHENTICATED + 1,
    SECONDS_BUCKETS = 19,
};

/* Upper bounds of the histograms, about three per decade: from a small unary call over a
 * Unix socket to the upload of a large tensor. */
struct seconds_bucket {
    uint64_t ns;
    const char *le; /* the label */
};
extern const struct seconds_bucket seconds_buckets[SECONDS_BUCKETS];

struct histogram {
    _Atomic uint64_t
        buckets[SECONDS_BUCKETS + 1]; /* not cumulative; the last is above all bounds */
    _Atomic uint64_t sum_ns;
};

struct call_counters {
    _Atomic uint64_t handled[STATUS_COUNT];
    _Atomic uint64_t in_flight;
    struct histogram seconds;
};

/* HTTP status codes that have a label of their own. */
enum { HTTP_CODES = 14, HTTP_PATHS_MAX = 32 };
extern const unsigned http_codes[HTTP_CODES]; /* the last is 0: any other */

struct metrics {
    const char *const *methods;
    size_t method_count;
    const char *version, *isa;
    uint64_t start_unix_ns;
    _Atomic uint64_t values[METRIC_COUNT];
    _Atomic uint64_t limits[LIMIT_COUNT];
    struct histogram histograms[HISTOGRAM_COUNT];
    _Atomic uint64_t rows[PRODUCT_COUNT], products[PRODUCT_COUNT];
    _Atomic uint64_t jobs[JOB_KIND_COUNT][JOB_RESULT_COUNT];
    const char *const *http_paths; /* HTTP requests, by path and code; the row behind the
                                    * last path is for all others */
    size_t http_path_count;
    _Atomic uint64_t http[HTTP_PATHS_MAX + 1][HTTP_CODES];
    /* Set as a whole (obs/runs.h). */
    pthread_mutex_t runs_mutex;
    struct metrics_run *runs;
    size_t run_count;
    uint64_t runs_left_out;
    struct call_counters calls[]; /* method_count of them, and one for unknown methods */
};

#endif
