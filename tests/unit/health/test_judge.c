/* SPDX-License-Identifier: Apache-2.0 */
/* Each rule, on histories of one layer of 256 groups. */
#include <math.h>
#include <string.h>

#include "health/health.h"
#include "proto/finding.h"
#include "tests/lib/check.h"

struct layer {
    struct health_rules rules;
    struct health_past past;
    struct trit_report report; /* the next one; judge() gives it its step */
    uint64_t step;
    double drift;
};

enum { GROUPS = 256, ELEMENTS = GROUPS * 128 };

static struct layer layer_new(void)
{
    struct layer layer = {.rules = health_rules_default(),
                          .report = {
                              .groups = GROUPS,
                              .elements = ELEMENTS,
                              .is_ternary = true,
                              .fraction_valid = 1,
                              .zeros = ELEMENTS * 31 / 100,
                              .has_scales = true,
                              .scale_min = 0.01f,
                              .scale_mean = 0.02,
                              .scale_max = 0.03f,
                              .has_previous = true,
                              .flip_fraction = 0.01,
                              .near_threshold_fraction = 0.03,
                          }};

    health_past_init(&layer.past);
    return layer;
}

static enum trit_health judge(struct layer *layer)
{
    struct trit_report *report = &layer->report;

    report->step = layer->step++;
    report->time_unix_ns = (int64_t)layer->step * 1000000000;
    layer->drift = health_judge(&layer->rules, &layer->past, NULL, report);
    return report->health;
}

static void judge_many(struct layer *layer, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(judge(layer), TRIT_HEALTHY);
}

/* The reason of this rule; the case fails if there is none. */
static const struct trit_health_reason *reason(const struct layer *layer,
                                               const char *rule)
{
    for (size_t i = 0; i < layer->report.health_reason_count; i++)
        if (strcmp(layer->report.health_reasons[i].rule, rule) == 0)
            return &layer->report.health_reasons[i];
    check_failed(__FILE__, __LINE__, "no reason %s", rule);
}

CASE(constant_is_healthy, "a layer that never changes is healthy, whatever its values")
{
    struct layer layer = layer_new();

    layer.report.zeros = ELEMENTS * 6 / 10;
    layer.report.zero_groups = GROUPS * 4 / 10;
    layer.report.near_threshold_fraction = 0.3;
    layer.report.flip_fraction = 0.4;
    judge_many(&layer, 100);
    CHECK(fabs(layer.drift - 1) < 1e-6);
    CHECK_EQ(layer.report.health_reason_count, 0);
}

CASE(first_report, "the first report is judged by itself")
{
    struct layer layer = layer_new();

    layer.report.zero_groups = GROUPS * 6 / 10;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    CHECK_EQ(reason(&layer, "dead_layer")->since_step, 0);

    layer = layer_new();
    layer.report.zero_groups = GROUPS;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK_EQ(reason(&layer, "dead_layer")->severity, TRIT_HEALTH_FAILING);

    layer = layer_new();
    layer.report.non_finite = 3;
    layer.report.is_ternary = false;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK(reason(&layer, "non_finite")->value == 3);
    CHECK_EQ(layer.report.health_reason_count, 1);

    layer = layer_new();
    layer.report.is_ternary = false;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK_STR(layer.report.health_reasons[0].rule, "not_ternary");

    layer = layer_new();
    CHECK(report_find(&layer.report, TRIT_FINDING_CODES_DIFFER));
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK_STR(layer.report.health_reasons[0].text,
              "the verification found an error: codes_differ");
}

CASE(dies_suddenly, "a layer that dies is failing since the step at which it died")
{
    struct layer layer = layer_new();

    judge_many(&layer, 120);
    layer.report.zero_groups = 238;
    layer.report.zeros = ELEMENTS * 95 / 100;
    for (unsigned i = 0; i < 80; i++)
        CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK_EQ(reason(&layer, "dead_groups")->since_step, 120);
    CHECK(fabs(reason(&layer, "dead_groups")->value - 238.0 / 256) < 1e-9);
    CHECK(fabs(reason(&layer, "dead_groups")->threshold - 0.4) < 1e-6);
    CHECK_EQ(reason(&layer, "zero_share")->since_step, 120);
}

CASE(dies_slowly,
     "for a layer that dies slowly, the reason has the step at which it began")
{
    struct layer layer = layer_new();

    judge_many(&layer, 50);
    for (unsigned dead = 1; dead <= 200; dead++) {
        layer.report.zero_groups = dead;
        judge(&layer);
    }
    CHECK_EQ(layer.report.health, TRIT_HEALTH_FAILING);
    uint64_t since = reason(&layer, "dead_groups")->since_step;

    CHECK(since >= 50 && since < 70);
}

CASE(dies_by_hundredths,
     "groups that die one in a hundred every ten steps are told when a tenth is dead")
{
    struct layer layer = layer_new();

    while (layer.step < 1000 && judge(&layer) == TRIT_HEALTHY)
        layer.report.zero_groups = (uint64_t)(GROUPS * (double)(layer.step / 10) / 100);
    CHECK(layer.report.zero_groups >= GROUPS * 10 / 100);
    CHECK(layer.report.zero_groups <= GROUPS * 12 / 100);
    CHECK(reason(&layer, "dead_groups")->since_step <= 40);
    /* It stays so, with the same step. */
    layer.report.zero_groups = GROUPS * 3 / 10;
    for (unsigned i = 0; i < 300; i++)
        CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    CHECK(reason(&layer, "dead_groups")->since_step <= 40);
}

CASE(recovers, "a value that came back is healthy, and the next time has its own step")
{
    struct layer layer = layer_new();

    judge_many(&layer, 20);
    layer.report.zero_groups = 100;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    layer.report.zero_groups = 0;
    judge_many(&layer, 5);
    layer.report.zero_groups = 100;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    CHECK_EQ(reason(&layer, "dead_groups")->since_step, 26);
}

CASE(scale_jumps, "a scale that grows or shrinks tenfold is failing")
{
    struct layer layer = layer_new();

    judge_many(&layer, 100);
    layer.report.scale_mean *= 10;
    layer.report.scale_max *= 10;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK_EQ(reason(&layer, "scale_drift")->since_step, 100);
    CHECK(fabs(reason(&layer, "scale_drift")->value - 10) < 1e-3);
    CHECK(fabs(layer.drift - 10) < 1e-3);

    layer = layer_new();
    judge_many(&layer, 100);
    layer.report.scale_mean /= 10;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK(fabs(reason(&layer, "scale_drift")->threshold - 1.0 / 6) < 1e-9);
}

CASE(scale_grows, "a scale that grows tenfold within 100 steps is found, with its onset")
{
    struct layer layer = layer_new();

    judge_many(&layer, 100);
    for (unsigned i = 0; i < 100; i++) {
        layer.report.scale_mean *= pow(10, 0.01);
        layer.report.scale_max *= (float)pow(10, 0.01);
        judge(&layer);
    }
    CHECK_EQ(layer.report.health, TRIT_HEALTH_FAILING);
    uint64_t since = reason(&layer, "scale_drift")->since_step;

    CHECK(since >= 100 && since < 120);
}

CASE(one_scale, "one group's scale that grows tenfold is found by the largest scale")
{
    struct layer layer = layer_new();

    judge_many(&layer, 30);
    layer.report.scale_max *= 8;
    layer.report.scale_mean *= 1.03;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK(strstr(reason(&layer, "scale_drift")->text, "largest"));
}

CASE(zero_share_moves, "a share of zeros that leaves its past, up or down, is told")
{
    struct layer layer = layer_new();

    judge_many(&layer, 30);
    layer.report.zeros = ELEMENTS / 2;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    layer = layer_new();
    judge_many(&layer, 30);
    layer.report.zeros = ELEMENTS / 10;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    CHECK(fabs(reason(&layer, "zero_share")->threshold - 0.16) < 1e-3);
}

CASE(flips_explode, "flips of many times the usual share are told")
{
    struct layer layer = layer_new();

    judge_many(&layer, 30);
    layer.report.flip_fraction = 0.3;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    layer.report.flip_fraction = 0.6;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK_EQ(reason(&layer, "flips")->since_step, 30);
    layer.report.flip_fraction = 0.01;
    judge_many(&layer, 1);
}

CASE(flips_collapse, "flips that stop for several reports are told, since the first")
{
    struct layer layer = layer_new();

    judge_many(&layer, 30);
    layer.report.flip_fraction = 0;
    judge_many(&layer, 4);
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    CHECK_EQ(reason(&layer, "flips")->since_step, 30);
}

CASE(few_flips, "a layer that usually has few flips has not collapsed when it has none")
{
    struct layer layer = layer_new();

    layer.report.flip_fraction = 0.001;
    judge_many(&layer, 30);
    layer.report.flip_fraction = 0;
    judge_many(&layer, 30);
}

CASE(no_previous, "a layer whose flips are not counted is not judged by them")
{
    struct layer layer = layer_new();

    layer.report.has_previous = false;
    layer.report.flip_fraction = 0;
    judge_many(&layer, 30);
    CHECK_EQ(layer.past.series[SERIES_FLIPS].seen, 0);
}

CASE(crowding, "weights that crowd at the threshold are told")
{
    struct layer layer = layer_new();

    judge_many(&layer, 30);
    layer.report.near_threshold_fraction = 0.12;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_WARNING);
    CHECK_EQ(reason(&layer, "threshold_crowding")->since_step, 30);
    layer.report.near_threshold_fraction = 0.4;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
}

CASE(replica, "a difference from replica 0 is failing")
{
    struct layer layer = layer_new();
    const struct health_replica replica = {.replica = 3, .codes_differ = 5};

    health_judge(&layer.rules, &layer.past, &replica, &layer.report);
    CHECK_EQ(layer.report.health, TRIT_HEALTH_FAILING);
    CHECK_STR(reason(&layer, "replica_mismatch")->text,
              "replica 3 differs from replica 0 in 5 weights");
}

CASE(stale, "a layer is stale after five usual intervals, and never within a minute")
{
    struct layer layer = layer_new();
    struct trit_health_reason why;
    const int64_t second = 1000000000;
    int64_t last;

    judge_many(&layer, 1);
    last = layer.report.time_unix_ns;
    CHECK(!health_is_stale(&layer.rules, &layer.past, 1, last + 1000000 * second, &why));
    judge_many(&layer, 30);
    last = layer.report.time_unix_ns;
    CHECK(!health_is_stale(&layer.rules, &layer.past, 1, last + 59 * second, &why));
    CHECK(health_is_stale(&layer.rules, &layer.past, 1, last + 61 * second, &why));
    CHECK_STR(why.rule, "stale");
    CHECK(why.value == 61 && why.threshold == 60);
    for (unsigned i = 0; i < 40; i++) {
        layer.report.time_unix_ns = last += 100 * second;
        health_judge(&layer.rules, &layer.past, NULL, &layer.report);
    }
    CHECK(!health_is_stale(&layer.rules, &layer.past, 1, last + 499 * second, &why));
    CHECK(health_is_stale(&layer.rules, &layer.past, 1, last + 501 * second, &why));
    CHECK_STR(why.text, "no report for 8 minutes; usually there is one every 100 s");
    CHECK(health_is_stale(&layer.rules, &layer.past, 1, last + 90000 * second, &why));
    CHECK_STR(why.text, "no report for 25 hours; usually there is one every 100 s");
    CHECK(health_is_stale(&layer.rules, &layer.past, 1, last + 900000 * second, &why));
    CHECK_STR(why.text, "no report for 10 days; usually there is one every 100 s");
    CHECK(health_stale_ns(&layer.rules, &layer.past, TRIT_HEALTH_WARNING) ==
          last + 500 * second);
    CHECK(health_stale_ns(&layer.rules, &layer.past, TRIT_HEALTH_FAILING) == INT64_MAX);
    layer.rules.of[HEALTH_STALE].failing = 20;
    CHECK(health_is_stale(&layer.rules, &layer.past, 1, last + 1999 * second, &why));
    CHECK_EQ(why.severity, TRIT_HEALTH_WARNING);
    CHECK(health_is_stale(&layer.rules, &layer.past, 1, last + 2000 * second, &why));
    CHECK_EQ(why.severity, TRIT_HEALTH_FAILING);
    CHECK(why.threshold == 2000);
    health_add(&layer.report, &why);
    CHECK_EQ(layer.report.health, TRIT_HEALTH_FAILING);
}

CASE(worst_first, "reasons stand in order of severity")
{
    struct layer layer = layer_new();

    judge_many(&layer, 30);
    layer.report.zeros = ELEMENTS / 2;
    layer.report.scale_mean *= 20;
    layer.report.flip_fraction = 0.3;
    CHECK_EQ(judge(&layer), TRIT_HEALTH_FAILING);
    CHECK_EQ(layer.report.health_reason_count, 3);
    CHECK_STR(layer.report.health_reasons[0].rule, "scale_drift");
    CHECK_EQ(layer.report.health_reasons[2].severity, TRIT_HEALTH_WARNING);
}

CASE(turned_off, "a rule that is off says nothing")
{
    struct layer layer = layer_new();
    struct failure failure = {0};

    CHECK(health_rules_set(&layer.rules, "dead_groups.failing=off", &failure) == 0);
    CHECK(health_rules_set(&layer.rules, "dead_groups.warning=off", &failure) == 0);
    CHECK(health_rules_set(&layer.rules, "dead_layer.warning=off", &failure) == 0);
    CHECK(health_rules_set(&layer.rules, "dead_layer.failing=off", &failure) == 0);
    judge_many(&layer, 30);
    layer.report.zero_groups = GROUPS;
    judge_many(&layer, 30);
}

/* ---- healthy training -------------------------------------------------------------- */

static double noise(uint64_t *state, double width)
{
    return 1 + width * (2 * (double)(check_random(state) >> 11) / 0x1p53 - 1);
}

enum { HEALTHY_RUNS = 20 }; /* of each shape */

CASE(healthy_training,
     "warm-up, annealing, drops of the learning rate and noise are healthy")
{
    uint64_t state = check_seed();

    for (unsigned run = 0; run < 4 * HEALTHY_RUNS; run++) {
        const unsigned shape = run % 4, steps = 400;
        struct layer layer = layer_new();

        for (unsigned step = 0; step < steps; step++) {
            const double t = (double)step / steps;
            const double rates[] = {
                fmin(1, step / 40.0),          /* warm-up */
                (1 + cos(3.14159265 * t)) / 2, /* annealing by a cosine */
                step < 150   ? 1
                : step < 300 ? 0.1
                             : 0.01, /* drops */
                exp(-5 * t),         /* annealing by decay */
            };
            struct trit_report *report = &layer.report;

            report->flip_fraction = 0.03 * rates[shape] * noise(&state, 0.2);
            report->scale_mean = 0.02 * (1 + 0.6 * t) * noise(&state, 0.02);
            report->scale_max = (float)(0.03 * (1 + t) * noise(&state, 0.1));
            report->zeros =
                (uint64_t)(ELEMENTS * (0.31 + 0.12 * t) * noise(&state, 0.02));
            report->zero_groups = (uint64_t)(4 * t * noise(&state, 0.5));
            report->near_threshold_fraction = 0.03 * noise(&state, 0.2);
            if (judge(&layer) != TRIT_HEALTHY)
                check_failed(__FILE__, __LINE__, "run %u, step %u: %s", run, step,
                             report->health_reasons[0].text);
        }
    }
}
