/* SPDX-License-Identifier: Apache-2.0 */
/* The health of a layer: healthy, warning or failing, with the reasons, by named rules.
 * A report is judged by itself and by the layer's recent past. docs/health.md explains
 * the rules and their thresholds. Pure: no I/O, no clock, no threads, no allocation. */
#ifndef HEALTH_HEALTH_H
#define HEALTH_HEALTH_H

#include "base/status.h"
#include "health/series.h"
#include "trit/types.h"

enum health_rule {
    HEALTH_NON_FINITE,
    HEALTH_NOT_TERNARY,
    HEALTH_FINDINGS,
    HEALTH_REPLICA_MISMATCH,
    HEALTH_DEAD_LAYER,
    HEALTH_DEAD_GROUPS,
    HEALTH_ZERO_SHARE,
    HEALTH_SCALE_DRIFT,
    HEALTH_FLIPS,
    HEALTH_THRESHOLD_CROWDING,
    HEALTH_STALE,
    HEALTH_RULES_WITH_PAST, /* these do not depend on earlier reports: */
    HEALTH_DATA_DAMAGED = HEALTH_RULES_WITH_PAST,
    HEALTH_RULES,
};

/* "dead_groups". */
const char *health_rule_name(enum health_rule rule);

/* What a rule compares with. The unit is the rule's; infinite: the rule never gives that
 * severity. */
struct health_thresholds {
    double warning, failing;
};

struct health_rules {
    struct health_thresholds of[HEALTH_RULES];
    double flips_collapsed; /* share of the usual flips below which it is a warning */
};

struct health_rules health_rules_default(void);

/* Reads "dead_groups.failing=0.5", or several of these with commas. The value is a number
 * above 0, or "off". INVALID_ARGUMENT names the text and what is allowed. */
int health_rules_set(struct health_rules *rules, const char *text,
                     struct failure *failure);

/* ---- a layer's past --------------------------------------------------------------- */

enum health_series {
    SERIES_DEAD,       /* share of groups that are all zero */
    SERIES_ZERO,       /* share of weights that are 0 */
    SERIES_SCALE_MEAN, /* logarithm of scale_mean */
    SERIES_SCALE_MAX,  /* logarithm of scale_max */
    SERIES_FLIPS,      /* flip_fraction */
    SERIES_NEAR,       /* logarithm of near_threshold_fraction */
    SERIES_COUNT,
};

enum {
    HEALTH_INTERVALS = 20,   /* between reports; their median says when one is late */
    HEALTH_PAST_BYTES = 1159 /* an encoded past */
};

/* What the rules need to know of the reports before. */
struct health_past {
    struct series series[SERIES_COUNT];
    /* HEALTH_NO_STEP: the rule does not fire now */
    uint64_t since[HEALTH_RULES_WITH_PAST];
    uint64_t collapsed_step; /* the first of the reports without flips */
    uint32_t collapsed_count;
    uint32_t interval_count; /* ever; the last HEALTH_INTERVALS are kept */
    uint32_t interval_ms[HEALTH_INTERVALS];
    int64_t time_unix_ns; /* of the last report; 0: there is none */
};

/* A layer without reports. */
void health_past_init(struct health_past *past);

/* The same bytes on every machine. Decoding returns -1 if they are not a past of this
 * version; then start with health_past_init. */
void health_past_encode(const struct health_past *past, uint8_t bytes[HEALTH_PAST_BYTES]);
int health_past_decode(const uint8_t *bytes, size_t count, struct health_past *past);

/* ---- judging ---------------------------------------------------------------------- */

/* What comparing the report with another replica's of the same step found. */
struct health_replica {
    uint32_t replica;      /* the one that differs from replica 0 */
    uint64_t since;        /* the first step at which it does */
    uint64_t codes_differ; /* 0: only scales differ */
};

/* Sets health and health_reasons of the report and adds it to the past. Reports come in
 * order of their steps. `replica` NULL: no difference is known. Returns how far the
 * scale is from the median of its past, as a factor (0.5: half of it); NAN: not known. */
double health_judge(const struct health_rules *rules, struct health_past *past,
                    const struct health_replica *replica, struct trit_report *report);

/* When the layer reaches a severity because no report comes; INT64_MAX: never. */
int64_t health_stale_ns(const struct health_rules *rules, const struct health_past *past,
                        enum trit_health severity);

/* Whether no report came for so long that the layer is stale at this time. Then *reason
 * says so. The report that it belongs to is not changed; see health_add. */
bool health_is_stale(const struct health_rules *rules, const struct health_past *past,
                     uint64_t step, int64_t now_unix_ns,
                     struct trit_health_reason *reason);

/* The reason of a report that the store filed without data of its layer, because that is
 * damaged. False: the rule is off. */
bool health_is_damaged(const struct health_rules *rules, uint64_t step,
                       struct trit_health_reason *reason);

/* The median of the last intervals between reports, in seconds. NAN: there is none. */
double health_usual_interval(const struct health_past *past);

/* Adds a reason, in order of severity, and raises the report's health to it. If there
 * are TRIT_HEALTH_REASONS_MAX already, the last one gives way. */
void health_add(struct trit_report *report, const struct trit_health_reason *reason);

#endif
