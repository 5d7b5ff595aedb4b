/* SPDX-License-Identifier: Apache-2.0 */
/* One function per rule. A rule on the past compares the value with the median of the
 * layer's life: a slow change moves that median along, a sick value is not added to it. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "health/health.h"
#include "proto/finding.h"

enum {
    /* A value leaves its healthy band where its distance from the median passes this
     * part of the threshold. So since_step names where a slow change began. */
    BAND_DIVISOR = 4,
    FLIPS_COLLAPSED_REPORTS =
        5,                 /* in a row; one report may be of the same weights twice */
    FLIPS_USUAL_MIN = 200, /* usual flips; below, none at all may be chance */
};

static const double flips_growth_min = 4;      /* times the usual share */
static const double crowding_share_min = 0.05; /* a third of 1 % is no crowd */

struct judgement {
    const struct health_rules *rules;
    struct health_past *past;
    struct trit_report *report;
    const struct health_replica *replica;
};

/* ---- reasons ---------------------------------------------------------------------- */

void health_add(struct trit_report *report, const struct trit_health_reason *reason)
{
    struct trit_health_reason *reasons = report->health_reasons;
    size_t at = (size_t)report->health_reason_count;

    if (at == TRIT_HEALTH_REASONS_MAX)
        at--;
    else
        report->health_reason_count++;
    for (; at > 0 && reasons[at - 1].severity < reason->severity; at--)
        reasons[at] = reasons[at - 1];
    reasons[at] = *reason;
    if (report->health < reason->severity)
        report->health = reason->severity;
}

static void fill(struct trit_health_reason *reason, enum health_rule rule,
                 enum trit_health severity)
{
    *reason = (struct trit_health_reason){.severity = severity};
    snprintf(reason->rule, sizeof(reason->rule), "%s", health_rule_name(rule));
}

static void say(struct trit_health_reason *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct trit_health_reason *reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason->text, sizeof(reason->text), format, arguments);
    va_end(arguments);
}

/* The severity that `amount` reaches; HEALTHY where it reaches none. */
static enum trit_health severity(const struct health_thresholds *of, double amount)
{
    if (amount >= of->failing)
        return TRIT_HEALTH_FAILING;
    return amount >= of->warning ? TRIT_HEALTH_WARNING : TRIT_HEALTHY;
}

static double crossed(const struct health_thresholds *of, enum trit_health severity)
{
    return severity == TRIT_HEALTH_FAILING ? of->failing : of->warning;
}

bool health_is_damaged(const struct health_rules *rules, uint64_t step,
                       struct trit_health_reason *reason)
{
    const struct health_thresholds *of = &rules->of[HEALTH_DATA_DAMAGED];
    const enum trit_health reached = severity(of, 1);

    if (reached == TRIT_HEALTHY)
        return false;
    fill(reason, HEALTH_DATA_DAMAGED, reached);
    reason->since_step = step;
    reason->value = 1;
    reason->threshold = crossed(of, reached);
    say(reason, "data that the store kept of this layer is damaged and was left out; "
                "tritd --check-data names it");
    return true;
}

/* The rule does not fire. */
static void quiet(struct judgement *j, enum health_rule rule)
{
    j->past->since[rule] = HEALTH_NO_STEP;
}

/* Begins a reason if `amount` reaches a threshold of the rule. `left` is the step at which
 * the value left its healthy band; it stays what it was when the rule began to fire. */
static bool begin(struct judgement *j, enum health_rule rule, double amount,
                  uint64_t left, struct trit_health_reason *reason)
{
    const struct health_thresholds *of = &j->rules->of[rule];
    enum trit_health reached = severity(of, amount);

    if (reached == TRIT_HEALTHY) {
        quiet(j, rule);
        return false;
    }
    if (j->past->since[rule] == HEALTH_NO_STEP)
        j->past->since[rule] = left;
    fill(reason, rule, reached);
    reason->since_step = j->past->since[rule];
    reason->threshold = crossed(of, reached);
    return true;
}

/* ---- rules on the report alone ---------------------------------------------------- */

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void judge_non_finite(struct judgement *j)
{
    const uint64_t count = j->report->non_finite;
    struct trit_health_reason reason;

    if (!begin(j, HEALTH_NON_FINITE, (double)count, j->report->step, &reason))
        return;
    reason.value = (double)count;
    say(&reason,
        count == 1 ? "%" PRIu64 " weight is NaN or infinite"
                   : "%" PRIu64 " weights are NaN or infinite",
        count);
    health_add(j->report, &reason);
}

/* NaN and infinity make a tensor not ternary too; non_finite says that already. */
static void judge_not_ternary(struct judgement *j)
{
    const bool other = !j->report->is_ternary && j->report->non_finite == 0;
    struct trit_health_reason reason;

    if (!begin(j, HEALTH_NOT_TERNARY, other, j->report->step, &reason))
        return;
    reason.value = 1;
    say(&reason, "it is not ternary: %.6g %% of its weights are valid",
        100 * j->report->fraction_valid);
    health_add(j->report, &reason);
}

/* Errors that no other rule tells. */
static void judge_findings(struct judgement *j)
{
    const struct trit_finding *first = NULL;
    struct trit_health_reason reason;
    unsigned errors = 0;

    for (uint32_t i = 0; i < j->report->finding_count; i++) {
        const struct trit_finding *finding = &j->report->findings[i];

        if (finding->severity != TRIT_SEVERITY_ERROR ||
            finding->kind == TRIT_FINDING_NOT_TERNARY ||
            finding->kind == TRIT_FINDING_NON_FINITE ||
            finding->kind == TRIT_FINDING_DEAD_LAYER ||
            (j->replica && (finding->kind == TRIT_FINDING_CODES_DIFFER ||
                            finding->kind == TRIT_FINDING_SCALES_DIFFER)))
            continue;
        errors++;
        first = first ? first : finding;
    }
    if (!begin(j, HEALTH_FINDINGS, errors, j->report->step, &reason))
        return;
    reason.value = errors;
    say(&reason, "the verification found an error: %s",
        first ? finding_kind_name(first->kind) : "");
    health_add(j->report, &reason);
}

static void judge_replica(struct judgement *j)
{
    const struct health_replica *replica = j->replica;
    struct trit_health_reason reason;

    /* Scales alone count as one. */
    if (!begin(j, HEALTH_REPLICA_MISMATCH,
               replica ? fmax(1, (double)replica->codes_differ) : 0,
               replica ? replica->since : 0, &reason))
        return;
    reason.value = (double)replica->codes_differ;
    say(&reason, "replica %" PRIu32 " differs from replica 0 in %" PRIu64 " weights%s",
        replica->replica, replica->codes_differ,
        replica->codes_differ ? "" : "; only scales differ");
    health_add(j->report, &reason);
}

/* ---- rules on the past ------------------------------------------------------------ */

/* A quantity of this report beside its past. */
struct compared {
    struct series *series;
    float value, usual; /* usual: of its life */
    bool known;         /* there is a past to compare with */
    uint64_t left;
};

/* What stands for the life of a quantity. One that never grows in a healthy layer is
 * compared with its low, so that slow growth is found, too. */
enum usual { USUAL_MEDIAN, USUAL_LOW };

/* `width` is the distance that the rule calls sick. */
static struct compared compare(struct judgement *j, enum health_series which,
                               enum usual usual, double value, double width, bool upwards)
{
    struct series *series = &j->past->series[which];
    struct compared c = {.series = series, .value = (float)value};

    if (!series_is_grown(series))
        return c;
    c.known = true;
    c.usual = usual == USUAL_LOW ? series_life_low(series) : series_life_median(series);
    series_track(series, j->report->step, c.value, c.usual, (float)(width / BAND_DIVISOR),
                 upwards);
    c.left = series_left(series, j->report->step);
    return c;
}

/* The smaller distance at which the rule speaks. */
static double width_of(const struct judgement *j, enum health_rule rule)
{
    const struct health_thresholds *of = &j->rules->of[rule];

    return fmin(of->warning, of->failing);
}

static void judge_dead(struct judgement *j)
{
    const double dead = share(j->report->zero_groups, j->report->groups);
    struct compared c =
        compare(j, SERIES_DEAD, USUAL_LOW, dead, width_of(j, HEALTH_DEAD_GROUPS), true);
    const double grown = c.known ? dead - (double)c.usual : 0;
    struct trit_health_reason reason;
    bool told = begin(j, HEALTH_DEAD_GROUPS, grown, c.left, &reason);

    if (told) {
        reason.value = dead;
        reason.threshold = (double)c.usual + reason.threshold;
        say(&reason, "%.3g %% of its groups are all zero; before it was %.3g %%",
            100 * dead, 100 * (double)c.usual);
        health_add(j->report, &reason);
    } else {
        series_add(c.series, c.value);
    }
    /* Growth says more than size, unless the whole layer is dead. */
    if (told && dead < 1) {
        quiet(j, HEALTH_DEAD_LAYER);
        return;
    }
    if (!begin(j, HEALTH_DEAD_LAYER, dead, told ? c.left : j->report->step, &reason))
        return;
    reason.value = dead;
    say(&reason, "%.3g %% of its groups are all zero", 100 * dead);
    health_add(j->report, &reason);
}

static void judge_zero_share(struct judgement *j)
{
    const double zeros = share(j->report->zeros, j->report->elements);
    struct compared c = compare(j, SERIES_ZERO, USUAL_MEDIAN, zeros,
                                width_of(j, HEALTH_ZERO_SHARE), false);
    const double moved = c.known ? zeros - (double)c.usual : 0;
    struct trit_health_reason reason;

    if (!begin(j, HEALTH_ZERO_SHARE, fabs(moved), c.left, &reason)) {
        series_add(c.series, c.value);
        return;
    }
    reason.value = zeros;
    reason.threshold = (double)c.usual + copysign(reason.threshold, moved);
    say(&reason, "%.3g %% of its weights are 0; before it was %.3g %%", 100 * zeros,
        100 * (double)c.usual);
    health_add(j->report, &reason);
}

/* A scale of 0 has no logarithm; it is that of a dead layer, which another rule tells. */
static struct compared compare_scale(struct judgement *j, enum health_series which,
                                     double scale)
{
    struct compared none = {.series = NULL};

    if (!j->report->has_scales || !(scale > 0) || !isfinite(scale))
        return none;
    return compare(j, which, USUAL_MEDIAN, log(scale),
                   log(width_of(j, HEALTH_SCALE_DRIFT)), false);
}

static double drift(const struct compared *c)
{
    return c->known ? (double)(c->value - c->usual) : 0;
}

static void add_healthy(struct judgement *j, const struct compared *c)
{
    if (c->series && exp(fabs(drift(c))) < width_of(j, HEALTH_SCALE_DRIFT))
        series_add(c->series, c->value);
}

static double judge_scales(struct judgement *j)
{
    struct compared mean = compare_scale(j, SERIES_SCALE_MEAN, j->report->scale_mean);
    struct compared max =
        compare_scale(j, SERIES_SCALE_MAX, (double)j->report->scale_max);
    const bool by_max = fabs(drift(&max)) > fabs(drift(&mean));
    const struct compared *worse = by_max ? &max : &mean;
    const double factor = exp(drift(worse));
    struct trit_health_reason reason;

    if (begin(j, HEALTH_SCALE_DRIFT, factor > 1 ? factor : 1 / factor, worse->left,
              &reason)) {
        reason.value = factor;
        reason.threshold = factor > 1 ? reason.threshold : 1 / reason.threshold;
        say(&reason, "its %s scale is %.3g; before it was %.3g: %.3g times as %s",
            by_max ? "largest" : "mean", exp((double)worse->value),
            exp((double)worse->usual), factor > 1 ? factor : 1 / factor,
            factor > 1 ? "large" : "small");
        health_add(j->report, &reason);
    }
    add_healthy(j, &mean);
    add_healthy(j, &max);
    return worse->known ? factor : NAN;
}

/* Flips follow the learning rate, so they are compared with the last reports only. */
static bool judge_collapse(struct judgement *j, double flips, double usual)
{
    struct health_past *past = j->past;
    struct trit_health_reason reason;
    const double threshold = j->rules->flips_collapsed * usual;

    if (flips >= threshold || usual * (double)j->report->elements < FLIPS_USUAL_MIN) {
        past->collapsed_count = 0;
        past->collapsed_step = HEALTH_NO_STEP;
        return false;
    }
    if (past->collapsed_count++ == 0)
        past->collapsed_step = j->report->step;
    if (past->collapsed_count < FLIPS_COLLAPSED_REPORTS)
        return true;
    fill(&reason, HEALTH_FLIPS, TRIT_HEALTH_WARNING);
    reason.since_step = past->collapsed_step;
    reason.value = flips;
    reason.threshold = threshold;
    say(&reason, "%.3g %% of its weights flip; before it was %.3g %%", 100 * flips,
        100 * usual);
    health_add(j->report, &reason);
    return true;
}

static void judge_flips(struct judgement *j)
{
    struct series *series = &j->past->series[SERIES_FLIPS];
    const double flips = j->report->flip_fraction;
    const double usual = (double)series_recent_median(series);
    const bool known = series_is_grown(series);
    struct trit_health_reason reason;

    if (!j->report->has_previous)
        return;
    if (known && judge_collapse(j, flips, usual)) {
        quiet(j, HEALTH_FLIPS);
        return;
    }
    if (!begin(j, HEALTH_FLIPS, known && flips >= flips_growth_min * usual ? flips : 0,
               j->report->step, &reason)) {
        series_add(series, (float)flips);
        return;
    }
    reason.value = flips;
    say(&reason, "%.3g %% of its weights flipped; before it was %.3g %%", 100 * flips,
        100 * usual);
    health_add(j->report, &reason);
}

static void judge_crowding(struct judgement *j)
{
    const double near = j->report->near_threshold_fraction;
    const double floor = 1e-6; /* a logarithm needs one; shares below are equal to it */
    struct compared c = compare(j, SERIES_NEAR, USUAL_MEDIAN, log(fmax(near, floor)),
                                log(width_of(j, HEALTH_THRESHOLD_CROWDING)), true);
    const double factor =
        c.known && near >= crowding_share_min ? exp((double)(c.value - c.usual)) : 0;
    struct trit_health_reason reason;

    if (!begin(j, HEALTH_THRESHOLD_CROWDING, factor, c.left, &reason)) {
        series_add(c.series, c.value);
        return;
    }
    reason.value = near;
    reason.threshold *= exp((double)c.usual);
    say(&reason, "%.3g %% of its weights are near their threshold; before it was %.3g %%",
        100 * near, 100 * exp((double)c.usual));
    health_add(j->report, &reason);
}

/* ---- time -------------------------------------------------------------------------- */

static void note_time(struct health_past *past, int64_t time_unix_ns)
{
    if (past->time_unix_ns != 0) {
        int64_t ms = (time_unix_ns - past->time_unix_ns) / 1000000;

        ms = ms < 0 ? 0 : ms > UINT32_MAX ? UINT32_MAX : ms;
        past->interval_ms[past->interval_count % HEALTH_INTERVALS] = (uint32_t)ms;
        past->interval_count++;
        if (past->interval_count == 2 * HEALTH_INTERVALS)
            past->interval_count = HEALTH_INTERVALS;
    }
    past->time_unix_ns = time_unix_ns;
}

/* ---- all rules --------------------------------------------------------------------- */

double health_judge(const struct health_rules *rules, struct health_past *past,
                    const struct health_replica *replica, struct trit_report *report)
{
    struct judgement j = {
        .rules = rules, .past = past, .replica = replica, .report = report};

    report->health = TRIT_HEALTHY;
    report->health_reason_count = 0;
    judge_non_finite(&j);
    judge_not_ternary(&j);
    judge_findings(&j);
    judge_replica(&j);
    judge_dead(&j);
    judge_zero_share(&j);
    const double scale = judge_scales(&j);

    judge_flips(&j);
    judge_crowding(&j);
    note_time(past, report->time_unix_ns);
    return scale;
}
