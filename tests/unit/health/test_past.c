/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's past: its medians, and its bytes. The rules' thresholds as text. */
#include <math.h>
#include <string.h>

#include "health/health.h"
#include "tests/lib/check.h"

CASE(recent_median, "the median of the last values forgets older ones")
{
    struct series series;

    series_init(&series);
    CHECK(!series_is_grown(&series));
    for (unsigned i = 0; i < SERIES_RECENT; i++)
        series_add(&series, 1);
    CHECK(series_is_grown(&series));
    CHECK(series_recent_median(&series) == 1.0f);
    for (unsigned i = 0; i < SERIES_RECENT; i++)
        series_add(&series, 3);
    CHECK(series_recent_median(&series) == 3.0f);
}

CASE(life_median, "the median of a life takes values from all of it")
{
    struct series series;

    for (unsigned count = 1; count < 3000; count += 37) {
        series_init(&series);
        for (unsigned i = 0; i < count; i++)
            series_add(&series, (float)i);
        CHECK(series.life_count > 0 && series.life_count <= SERIES_LIFE);
        CHECK(fabsf(series_life_median(&series) - (float)count / 2) <=
              (float)count / 8 + 1);
    }
}

CASE(left, "a value that comes back into its band has not left it")
{
    struct series series;

    series_init(&series);
    for (unsigned i = 0; i < 20; i++)
        series_add(&series, 1);
    series_track(&series, 5, 2, series_life_median(&series), 0.5f, false);
    CHECK_EQ(series_left(&series, 5), 5);
    series_track(&series, 6, 0, series_life_median(&series), 0.5f, false);
    CHECK_EQ(series_left(&series, 6), 5);
    series_track(&series, 7, 1, series_life_median(&series), 0.5f, false);
    CHECK_EQ(series_left(&series, 7), 7);
    series_track(&series, 8, 0, series_life_median(&series), 0.5f, true);
    CHECK_EQ(series_left(&series, 9), 9);
}

CASE(same_bytes, "a past that is read back is the one that was written")
{
    struct health_past past, read;
    uint8_t bytes[HEALTH_PAST_BYTES], again[HEALTH_PAST_BYTES];
    struct trit_report report = {.groups = 4,
                                 .elements = 512,
                                 .is_ternary = true,
                                 .has_scales = true,
                                 .scale_mean = 1,
                                 .scale_max = 2};
    const struct health_rules rules = health_rules_default();

    health_past_init(&past);
    for (unsigned i = 0; i < 50; i++) {
        report.step = i;
        report.time_unix_ns = 1000 + 3000000 * (int64_t)i;
        report.zero_groups = i / 13;
        health_judge(&rules, &past, NULL, &report);
    }
    health_past_encode(&past, bytes);
    CHECK(health_past_decode(bytes, sizeof(bytes), &read) == 0);
    health_past_encode(&read, again);
    CHECK_MEM(again, bytes, sizeof(bytes));
    CHECK_EQ(read.time_unix_ns, past.time_unix_ns);
    CHECK_EQ(read.since[HEALTH_DEAD_GROUPS], past.since[HEALTH_DEAD_GROUPS]);
    CHECK(series_life_median(&read.series[SERIES_DEAD]) ==
          series_life_median(&past.series[SERIES_DEAD]));
}

CASE(other_bytes, "bytes of another version or size are not a past")
{
    struct health_past past;
    uint8_t bytes[HEALTH_PAST_BYTES] = {0};

    CHECK(health_past_decode(bytes, sizeof(bytes), &past) < 0);
    bytes[0] = 1;
    CHECK(health_past_decode(bytes, sizeof(bytes), &past) < 0); /* strides of 0 */
    health_past_init(&past);
    health_past_encode(&past, bytes);
    CHECK(health_past_decode(bytes, sizeof(bytes) - 1, &past) < 0);
    CHECK(health_past_decode(bytes, 0, &past) < 0);
    CHECK(health_past_decode(bytes, sizeof(bytes), &past) == 0);
}

CASE(thresholds, "thresholds are set by name, and a wrong text says what is allowed")
{
    struct health_rules rules = health_rules_default();
    static const char *const wrong[] = {
        "dead_groups",
        "dead_groups=1",
        "dead_groups.failing=",
        "dead_groups.failing=x",
        "no_rule.failing=1",
        "dead_groups.dying=1",
        "dead_groups.failing=0",
        "flips.failing=-1",
        "flips.failing=nan",
        "scale_drift.collapsed=1",
        "scale_drift.warning=1",
        "threshold_crowding.failing=0.5",
        "flips.warning=25",
        "flips.collapsed=1.5",
        "zero_share.failing=1.01",
        "dead_layer.failing=100",
        "not_ternary.failing=2",
        "dead_groups.failing=1x",
        "",
        "flips.warning=1,",
        "=1",
        ".=1",
    };
    struct failure failure = {0};

    CHECK(health_rules_set(&rules, "dead_groups.failing=0.25", &failure) == 0);
    CHECK(rules.of[HEALTH_DEAD_GROUPS].failing == 0.25);
    CHECK(health_rules_set(&rules, "stale.failing=20", &failure) == 0);
    CHECK(rules.of[HEALTH_STALE].failing == 20);
    CHECK(health_rules_set(&rules, "flips.collapsed=off", &failure) == 0);
    CHECK(rules.flips_collapsed == 0);
    CHECK(health_rules_set(&rules, "flips.warning=0.1,stale.warning=off", &failure) == 0);
    CHECK(rules.of[HEALTH_FLIPS].warning == 0.1 && isinf(rules.of[HEALTH_STALE].warning));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        failure = (struct failure){0};
        CHECK(health_rules_set(&rules, wrong[i], &failure) < 0);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        CHECK(strncmp(failure.message, "health-rule", strlen("health-rule")) == 0);
    }
    for (unsigned i = 0; i < HEALTH_RULES; i++)
        CHECK(health_rule_name((enum health_rule)i)[0]);
}

CASE(low,
     "the low that dead groups are compared with is the second smallest value, or the "
     "only one")
{
    struct series series;

    series_init(&series);
    CHECK(series_life_low(&series) == 0);
    series_add(&series, 5);
    CHECK(series_life_low(&series) == 5);
    series_add(&series, 3);
    CHECK(series_life_low(&series) == 5);
    series_add(&series, 4);
    CHECK(series_life_low(&series) == 4);
    series_add(&series, 3);
    CHECK(series_life_low(&series) == 3);
    series_add(&series, 9);
    CHECK(series_life_low(&series) == 3);
}
