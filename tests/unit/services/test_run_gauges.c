/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of runs are read soon after reports were filed, and say what the store says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "obs/metrics.h"
#include "services/run_gauges.h"
#include "tests/lib/broken_reads.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/loop.h"
#include "tests/lib/service.h"
#include "tests/lib/store_fixture.h"

static const int64_t second = 1000000000;

static struct service *service;
static struct run_gauges *gauges;

static void file(const char *run, const char *layer, uint64_t step, int64_t age_ns)
{
    struct trit_report report;

    fixture_report(&report, run, layer, step, (unsigned)step, 4, 128, 128);
    report.time_unix_ns = clock_unix_ns() - age_ns;
    service_put(service, &report);
}

/* A run with a healthy and a stale layer; two later ones, the last with a dead layer. */
static void open_runs(size_t shown)
{
    const struct service_options options = service_defaults();
    struct trit_report dead;

    service = service_open(&options);
    file("first", "a", 1, 601 * second);
    file("first", "a", 2, 600 * second);
    file("first", "b", 1, 500 * second);
    file("broken", "a", 1, 20 * second);
    fixture_report(&dead, "last", "a", 1, 1, 4, 128, 128);
    dead.zero_groups = 4;
    dead.zeros = 512;
    dead.time_unix_ns = clock_unix_ns();
    service_put(service, &dead);
    gauges = run_gauges_create(service_services(service), service_timers(service), shown);
    CHECK(gauges);
}

static void close_runs(void)
{
    run_gauges_stop(gauges);
    run_gauges_destroy(gauges);
    service_close(service);
}

/* Whether the metrics have this line. */
static bool has(const char *line)
{
    size_t bytes;
    char *text = metrics_render(service_metrics(service), false, &bytes);
    const bool found = text && strstr(text, line);

    free(text);
    return found;
}

static bool appears(void *line)
{
    return has(line);
}

static void wait_for(char *line)
{
    loop_run_until(service_loop(service), appears, line);
}

CASE(read, "layers by health, worst values and how many runs are left out")
{
    open_runs(2);
    wait_for("tritd_run_layers{run=\"last\",health=\"failing\"} 1\n");
    CHECK(has("tritd_run_layers{run=\"last\",health=\"healthy\"} 0\n"));
    CHECK(has("tritd_run_worst{run=\"last\",value=\"zero_group_fraction\"} 1\n"));
    CHECK(has("tritd_run_layers{run=\"broken\",health=\"healthy\"} 1\n"));
    CHECK(!has("run=\"first\""));
    CHECK(has("tritd_runs_left_out 1\n"));
    close_runs();
}

CASE(stale, "stale layers are counted and told, also of runs that are not shown")
{
    open_runs(0);
    wait_for("tritd_runs_left_out 3\n");
    CHECK_EQ(metric_get(service_metrics(service), M_STALE), 1);
    CHECK(!has("tritd_run_layers{"));
    close_runs();
    open_runs(3);
    wait_for("tritd_run_layers{run=\"first\",health=\"warning\"} 1\n");
    CHECK(has("tritd_run_layers{run=\"first\",health=\"healthy\"} 1\n"));
    CHECK_EQ(metric_get(service_metrics(service), M_STALE), 1);
    close_runs();
}

CASE(again, "reports that are filed are counted soon, and what is stale is told once")
{
    open_runs(3);
    wait_for("tritd_run_layers{run=\"first\",health=\"warning\"} 1\n");
    file("last", "b", 1, 0);
    run_gauges_filed(gauges);
    run_gauges_filed(gauges);
    wait_for("tritd_run_layers{run=\"last\",health=\"healthy\"} 1\n");
    CHECK_EQ(metric_get(service_metrics(service), M_STALE), 1);
    close_runs();
}

CASE(unreadable_run, "a run that cannot be read is left out, the others are shown")
{
    broken_reads(BROKEN_HEALTH);
    open_runs(3);
    wait_for("tritd_runs_left_out 1\n");
    CHECK(!has("run=\"broken\""));
    CHECK(has("tritd_run_layers{run=\"last\",health=\"failing\"} 1\n"));
    CHECK(has("tritd_run_layers{run=\"first\",health=\"warning\"} 1\n"));
    broken_reads(BROKEN_NONE);
    close_runs();
}

static bool has_failed(void *count)
{
    return broken_reads_count() > *(unsigned *)count;
}

CASE(unreadable, "if the runs cannot be read, they are read the next time")
{
    unsigned failed = broken_reads_count();

    broken_reads(BROKEN_RUNS);
    open_runs(3);
    loop_run_until(service_loop(service), has_failed, &failed);
    CHECK(!has("tritd_run_layers{run"));
    broken_reads(BROKEN_NONE);
    run_gauges_filed(gauges);
    wait_for("tritd_run_layers{run=\"last\",health=\"failing\"} 1\n");
    close_runs();
}

CASE(memory, "without memory there are no gauges")
{
    const struct service_options options = service_defaults();

    service = service_open(&options);
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    gauges = run_gauges_create(service_services(service), service_timers(service), 3);
    CHECK(fault_disarm());
    CHECK(!gauges);
    close_runs();
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
