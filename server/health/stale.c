/* SPDX-License-Identifier: Apache-2.0 */
/* Layers without a report for long. */
#include <math.h>
#include <stdio.h>

#include "health/health.h"

static uint32_t usual_interval_ms(const struct health_past *past)
{
    const size_t count =
        past->interval_count < HEALTH_INTERVALS ? past->interval_count : HEALTH_INTERVALS;
    uint32_t sorted[HEALTH_INTERVALS];

    for (size_t i = 0; i < count; i++) {
        size_t at = i;

        for (; at > 0 && sorted[at - 1] > past->interval_ms[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = past->interval_ms[i];
    }
    return sorted[count / 2];
}

double health_usual_interval(const struct health_past *past)
{
    return past->interval_count ? (double)usual_interval_ms(past) / 1e3 : NAN;
}

enum { DURATION_BYTES = 32 };

static void say_duration(char text[DURATION_BYTES], double seconds)
{
    const double minute = 60, hour = 3600, day = 86400;

    if (seconds < 10)
        snprintf(text, DURATION_BYTES, "%.2g s", seconds);
    else if (seconds < 2 * minute)
        snprintf(text, DURATION_BYTES, "%.0f s", seconds);
    else if (seconds < 2 * hour)
        snprintf(text, DURATION_BYTES, "%.0f minutes", seconds / minute);
    else if (seconds < 2 * day)
        snprintf(text, DURATION_BYTES, "%.0f hours", seconds / hour);
    else
        snprintf(text, DURATION_BYTES, "%.0f days", seconds / day);
}

/* In seconds after the last report. */
static double stale_after(const struct health_thresholds *of,
                          const struct health_past *past, enum trit_health severity)
{
    const double floor_seconds = 60, shortest_interval = 1e-3;
    const double usual = (double)usual_interval_ms(past) / 1e3;

    return fmax((severity == TRIT_HEALTH_FAILING ? of->failing : of->warning) *
                    fmax(usual, shortest_interval),
                floor_seconds);
}

int64_t health_stale_ns(const struct health_rules *rules, const struct health_past *past,
                        enum trit_health severity)
{
    const double beyond = 9e18;
    double at;

    if (past->interval_count == 0)
        return INT64_MAX;
    at = (double)past->time_unix_ns +
         1e9 * stale_after(&rules->of[HEALTH_STALE], past, severity);
    return at < beyond ? (int64_t)at : INT64_MAX;
}

bool health_is_stale(const struct health_rules *rules, const struct health_past *past,
                     uint64_t step, int64_t now_unix_ns,
                     struct trit_health_reason *reason)
{
    enum trit_health reached = TRIT_HEALTH_FAILING;
    char age[DURATION_BYTES], usual[DURATION_BYTES];

    if (health_stale_ns(rules, past, reached) > now_unix_ns)
        reached = TRIT_HEALTH_WARNING;
    if (health_stale_ns(rules, past, reached) > now_unix_ns)
        return false;
    *reason = (struct trit_health_reason){.severity = reached};
    snprintf(reason->rule, sizeof(reason->rule), "%s", health_rule_name(HEALTH_STALE));
    reason->since_step = step;
    reason->value = (double)(now_unix_ns - past->time_unix_ns) / 1e9;
    reason->threshold = stale_after(&rules->of[HEALTH_STALE], past, reached);
    say_duration(age, reason->value);
    say_duration(usual, health_usual_interval(past));
    snprintf(reason->text, sizeof(reason->text),
             "no report for %s; usually there is one every %s", age, usual);
    return true;
}
