/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a run, each by the newest reports of its replicas. */
#ifndef WEB_RUN_LAYERS_H
#define WEB_RUN_LAYERS_H

#include <stddef.h>

#include "proto/finding.h"
#include "store/store.h"

enum { RUN_LAYERS_MAX = 20000 /* of one run that are listed */ };

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
    uint32_t replica;         /* the one that is worst */
    uint32_t figures_replica; /* the lowest one; step, digest and figures are of it */
    enum condition condition;
    enum trit_health health;
    enum trit_verdict verdict;
    bool has_finding, has_scales, has_sqnr_db, has_flips;
    bool damaged;                   /* no figures: the report is damaged in the store */
    enum trit_finding_kind finding; /* the worst one */
    double zero_fraction, scale_mean, sqnr_db, flip_fraction;
    uint8_t digest[TRIT_DIGEST_BYTES];
    uint64_t reason_count;
    struct trit_health_reason reason; /* the worst one */
};

/* The number `field` of the newest report, as the history has it for each; NaN: absent. */
double layer_newest(const struct layer_state *layer, const char *field);

/* All layers count; of a run with more than `max` the list has those that are unwell first. */
struct run_layers {
    size_t max;               /* set it; the rest begins as zeros */
    struct layer_state *list; /* in byte order of their names */
    size_t count, capacity;
    bool more;      /* some layers are not in the list */
    uint64_t total; /* of the following too */
    size_t conditions[CONDITIONS], verdicts[3], healths[4];
    enum condition condition; /* of the worst layer */
    enum trit_health health;
    /* of run_layers.c alone */
    struct layer_state current; /* its replicas are being added */
    bool has_current;
    bool failed;   /* out of memory */
    bool unsorted; /* a layer took the place of another */
    size_t well;   /* from here on the list has unwell layers only, once it is full */
};

/* Adds the newest report of a replica: the lowest replica of a layer first, layers in byte
 * order of names. False: out of memory. */
bool run_layers_add(struct run_layers *layers, const struct trit_report *report);
/* The same where the newest report is damaged in the store: this one, at the latest. The
 * replica has a warning and no figures. */
bool run_layers_add_damaged(struct run_layers *layers, const struct store_key *key);

/* After the last one. False: memory ran out, now or before. */
bool run_layers_finish(struct run_layers *layers);

void run_layers_fini(struct run_layers *layers);

/* Orders of the list. The worst first: by condition, then by the newest change, then by
 * name. */
void run_layers_sort_worst(struct run_layers *layers);
void run_layers_sort_natural(struct run_layers *layers);

#endif
