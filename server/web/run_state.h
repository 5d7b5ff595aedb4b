/* SPDX-License-Identifier: Apache-2.0 */
/* How the layers of a run do: the newest report of each, and the sums that a page or JSON
 * shows of the run. */
#ifndef WEB_RUN_STATE_H
#define WEB_RUN_STATE_H

#include "proto/finding.h"
#include "store/store.h"
#include "web/request.h"

enum { RUN_LAYERS_MAX = 20000 /* of one run that are read */ };

/* What is said of a layer, from its verdict and its health. Greater is worse. */
enum condition {
    CONDITION_UNKNOWN, /* nothing is wrong, but no rule of health has judged it */
    CONDITION_HEALTHY,
    CONDITION_WARNING, /* health warning, a verdict of inconclusive or a warning */
    CONDITION_FAILING, /* health failing, or a verdict of fail */
    CONDITIONS,
};

/* "unknown", "healthy", "warning", "failing" */
const char *condition_name(enum condition condition);
enum condition condition_of(const struct trit_report *report);

struct layer_state {
    char name[TRIT_NAME_BYTES_MAX + 1];
    uint64_t step, elements, groups, zero_groups, non_finite;
    int64_t time_unix_ns;
    uint32_t attempt;
    uint32_t replica;         /* the one that is worst */
    uint32_t figures_replica; /* the lowest one; step, digest and figures are of it */
    enum condition condition;
    enum trit_health health;
    enum trit_verdict verdict;
    bool has_finding, has_scales, has_sqnr_db, has_flips;
    enum trit_finding_kind finding; /* the worst one */
    double zero_fraction, scale_min, scale_mean, scale_max, sqnr_db, flip_fraction;
    double near_threshold_fraction;
    uint8_t digest[TRIT_DIGEST_BYTES];
    uint64_t reason_count;
    struct trit_health_reason reason; /* the worst one */
};

/* The number `field` of the newest report, as the history has it for each; NaN: absent. */
double layer_newest(const struct layer_state *layer, const char *field);

struct run_state {
    char run[TRIT_NAME_BYTES_MAX + 1];
    struct store_run_info facts;
    struct layer_state *layers; /* in byte order of their names */
    size_t layer_count, layer_capacity;
    uint64_t attempt; /* that was asked for; 0: the newest */
    bool more;        /* the run has more than RUN_LAYERS_MAX */
    size_t conditions[CONDITIONS], verdicts[3], healths[4];
    enum condition condition; /* of its worst layer */
    enum trit_health health;
};

/* Reads the attempt and replica of the request; of all replicas if that is 0. -1: NOT_FOUND,
 * RESOURCE_EXHAUSTED, the store's failure; call run_state_fini in any case. */
int run_state_read(struct run_state *state, const struct web_config *web,
                   const struct request *request, const char *run,
                   struct failure *failure);
void run_state_fini(struct run_state *state);

/* Orders. The worst first: by condition, then by the newest change, then by name. */
void run_state_sort_worst(struct run_state *state);
void run_state_sort_natural(struct run_state *state);

#endif
