/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/runs.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "obs/counters.h"
#include "obs/family.h"

static const char *const worst_names[WORST_COUNT] = {
    [WORST_ZERO_FRACTION] = "zero_fraction", [WORST_DEAD_GROUPS] = "zero_group_fraction",
    [WORST_FLIP_FRACTION] = "flip_fraction", [WORST_SCALE_DRIFT] = "scale_drift",
    [WORST_NON_FINITE] = "non_finite",
};

void metrics_set_runs(struct metrics *metrics, struct metrics_run *runs, size_t count,
                      uint64_t left_out)
{
    struct metrics_run *old = runs;

    if (metrics) {
        pthread_mutex_lock(&metrics->runs_mutex);
        old = metrics->runs;
        metrics->runs = runs;
        metrics->run_count = count;
        metrics->runs_left_out = left_out;
        pthread_mutex_unlock(&metrics->runs_mutex);
    }
    free(old);
}

static void put_label(const struct exposition *to, const char *name,
                      const struct metrics_run *run)
{
    fprintf(to->out, "%s{run=\"", name);
    put_escaped(to, run->run);
    fputc('"', to->out);
}

static void put_layers(const struct exposition *to, const struct metrics *metrics)
{
    static const char *const names[] = {NULL, "healthy", "warning", "failing"};

    put_family(to, "tritd_run_layers", "gauge", "Layers of a run, by their health.");
    for (size_t i = 0; i < metrics->run_count; i++)
        for (int health = TRIT_HEALTHY; health <= TRIT_HEALTH_FAILING; health++) {
            put_label(to, "tritd_run_layers", &metrics->runs[i]);
            fprintf(to->out, ",health=\"%s\"} %" PRIu64 "\n", names[health],
                    metrics->runs[i].layers[health]);
        }
}

static void put_ages(const struct exposition *to, const struct metrics *metrics)
{
    const int64_t now = clock_unix_ns();

    put_family(to, "tritd_run_report_age_seconds", "gauge",
               "Time since the newest report of a run.");
    for (size_t i = 0; i < metrics->run_count; i++) {
        const int64_t age = now - metrics->runs[i].time_unix_ns;

        put_label(to, "tritd_run_report_age_seconds", &metrics->runs[i]);
        fprintf(to->out, "} %.3f\n", age > 0 ? (double)age / 1e9 : 0.0);
    }
}

static void put_worst(const struct exposition *to, const struct metrics *metrics)
{
    put_family(to, "tritd_run_worst", "gauge",
               "The value of the layer and replica of a run that is worst in it.");
    for (size_t i = 0; i < metrics->run_count; i++)
        for (size_t value = 0; value < WORST_COUNT; value++) {
            if (isnan(metrics->runs[i].worst[value]))
                continue;
            put_label(to, "tritd_run_worst", &metrics->runs[i]);
            fprintf(to->out, ",value=\"%s\"} %.9g\n", worst_names[value],
                    metrics->runs[i].worst[value]);
        }
}

void put_runs(const struct exposition *to, struct metrics *metrics)
{
    pthread_mutex_lock(&metrics->runs_mutex);
    put_layers(to, metrics);
    put_ages(to, metrics);
    put_worst(to, metrics);
    put_family(to, "tritd_runs_left_out", "gauge",
               "Older runs that the metrics of runs leave out (--metrics-runs-max).");
    fprintf(to->out, "tritd_runs_left_out %" PRIu64 "\n", metrics->runs_left_out);
    pthread_mutex_unlock(&metrics->runs_mutex);
}
