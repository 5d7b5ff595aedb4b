/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

static const char *const methods[] = {"/trit.v1.Ternary/Project",
                                      "/trit.v1.Ternary/Ve\"r"};

static struct metrics *create(void)
{
    struct metrics *metrics = metrics_create(methods, 2, "0.1.0", "avx2");

    CHECK(metrics);
    return metrics;
}

static char *render(struct metrics *metrics, bool openmetrics)
{
    size_t bytes = 0;
    char *text = metrics_render(metrics, openmetrics, &bytes);

    CHECK(text);
    CHECK_EQ(strlen(text), bytes);
    return text;
}

/* True when `line` is a whole line of the text. */
static bool has_line(const char *text, const char *line)
{
    size_t length = strlen(line);

    for (const char *at = text; (at = strstr(at, line)); at++)
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return true;
    return false;
}

CASE(counts_and_gauges, "counters increase, and gauges increase and decrease")
{
    struct metrics *metrics = create();
    char *text;

    metric_add(metrics, M_TILES, 41);
    metric_add(metrics, M_TILES, 1);
    metric_up(metrics, M_STREAMS);
    metric_up(metrics, M_STREAMS);
    metric_down(metrics, M_STREAMS);
    metric_set(metrics, M_BUDGET_MAX, 1ull << 40);
    metric_add(metrics, M_KERNEL_NS, 18446744073000000001u);
    metric_limit(metrics, L_CHUNK);
    metric_add(metrics, M_LAYERS_BYTES, 1000);
    metric_sub(metrics, M_LAYERS_BYTES, 999);
    metric_product(metrics, P_GRAD_INPUT, 5, 5000);
    metric_product(metrics, P_GRAD_INPUT, 1, 1000);
    CHECK_EQ(metric_get(metrics, M_TILES), 42);
    CHECK_EQ(metric_get(metrics, M_STREAMS), 1);

    text = render(metrics, false);
    CHECK(has_line(text, "# HELP tritd_tiles_total Tiles that workers finished."));
    CHECK(has_line(text, "# TYPE tritd_tiles_total counter"));
    CHECK(has_line(text, "tritd_tiles_total 42"));
    CHECK(has_line(text, "# TYPE tritd_streams gauge"));
    CHECK(has_line(text, "tritd_streams 1"));
    CHECK(has_line(text, "tritd_memory_budget_bytes 1099511627776"));
    CHECK(has_line(text, "tritd_kernel_seconds_total 18446744073.000000001"));
    CHECK(has_line(text, "tritd_limit_refusals_total{limit=\"chunk_bytes\"} 1"));
    CHECK(has_line(text, "tritd_limit_refusals_total{limit=\"group_size\"} 0"));
    CHECK(has_line(text, "tritd_layers_memory_bytes 1"));
    CHECK(has_line(text, "# TYPE tritd_layer_rows_total counter"));
    CHECK(has_line(text, "tritd_layer_rows_total{kind=\"grad_input\"} 6"));
    CHECK(has_line(text, "tritd_layer_products_total{kind=\"grad_input\"} 6000"));
    CHECK(has_line(text, "tritd_layer_products_total{kind=\"forward_int8\"} 0"));
    CHECK(has_line(text, "# TYPE tritd_build_info gauge"));
    CHECK(has_line(text, "tritd_build_info{version=\"0.1.0\",isa=\"avx2\"} 1"));
    CHECK(!strstr(text, "# EOF"));
    free(text);
    metrics_destroy(metrics);
}

CASE(openmetrics_names_families,
     "OpenMetrics family names lack the sample's suffix, and the text ends in EOF")
{
    struct metrics *metrics = create();
    char *text = render(metrics, true);

    CHECK(has_line(text, "# TYPE tritd_tiles counter"));
    CHECK(has_line(text, "tritd_tiles_total 0"));
    CHECK(has_line(text, "# TYPE tritd_build info"));
    CHECK(has_line(text, "tritd_build_info{version=\"0.1.0\",isa=\"avx2\"} 1"));
    CHECK(has_line(text, "# TYPE process_cpu_seconds counter"));
    CHECK(strcmp(text + strlen(text) - 6, "# EOF\n") == 0);
    free(text);
    metrics_destroy(metrics);
}

/* Families are declared once, samples follow their family, nothing else is there. */
static void check_families(char *text, bool openmetrics)
{
    char seen[200][64] = {""}, family[64] = "";
    size_t count = 0;

    for (char *save, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            CHECK(sscanf(line, "# TYPE %63s", family) == 1);
            for (size_t i = 0; i < count; i++)
                CHECK(strcmp(seen[i], family) != 0);
            CHECK(count < 200);
            memcpy(seen[count++], family, sizeof(family));
        } else if (strncmp(line, "# HELP ", 7) == 0) {
            CHECK(strlen(line) > 20 && line[strlen(line) - 1] == '.');
        } else if (strncmp(line, "# UNIT ", 7) == 0) {
            CHECK(openmetrics && strncmp(line + 7, family, strlen(family)) == 0);
            CHECK(strcmp(line + strlen(line) - 6, " bytes") == 0 ||
                  strcmp(line + strlen(line) - 8, " seconds") == 0);
        } else if (line[0] == '#') {
            CHECK(openmetrics && strcmp(line, "# EOF") == 0 && *save == '\0');
        } else {
            CHECK(strncmp(line, family, strlen(family)) == 0);
            CHECK(strchr("{ _", line[strlen(family)]));
        }
    }
    CHECK(count >= METRIC_COUNT);
}

CASE(jobs_have_kind_and_result, "jobs are counted by kind and result, from 0 on")
{
    struct metrics *metrics = create();
    char *text;

    metric_job(metrics, "Verify", R_INCONCLUSIVE);
    metric_job(metrics, "Verify", R_INCONCLUSIVE);
    metric_job(metrics, "Project", R_CANCELLED);
    metric_job(metrics, "Unheard", R_PASS);
    text = render(metrics, false);
    CHECK(has_line(
        text, "tritd_jobs_finished_total{kind=\"verify\",result=\"inconclusive\"} 2"));
    CHECK(has_line(text,
                   "tritd_jobs_finished_total{kind=\"project\",result=\"cancelled\"} 1"));
    CHECK(has_line(text, "tritd_jobs_finished_total{kind=\"diff\",result=\"pass\"} 0"));
    CHECK(!strstr(text, "Unheard"));
    free(text);
    metrics_destroy(metrics);
}

CASE(families_are_whole, "every family is declared once, with help, before its samples")
{
    for (int openmetrics = 0; openmetrics <= 1; openmetrics++) {
        struct metrics *metrics = create();
        char *text = render(metrics, openmetrics);

        check_families(text, openmetrics);
        free(text);
        metrics_destroy(metrics);
    }
}

CASE(calls_have_method_and_code, "calls are counted by method and code, and timed")
{
    struct metrics *metrics = create();
    char *text;

    metric_call(metrics, 0, TRIT_OK, 1000);
    metric_call(metrics, 0, TRIT_OK, 100000);
    metric_call(metrics, 0, TRIT_CANCELLED, 100001);
    metric_call(metrics, 0, (enum trit_status)99, 60000000000);
    metric_call(metrics, 12345, TRIT_UNIMPLEMENTED, 5);
    text = render(metrics, false);
#define PROJECT "method=\"/trit.v1.Ternary/Project\""
    CHECK(has_line(text, "tritd_rpc_handled_total{" PROJECT ",code=\"OK\"} 2"));
    CHECK(has_line(text, "tritd_rpc_handled_total{" PROJECT ",code=\"CANCELLED\"} 1"));
    CHECK(has_line(text, "tritd_rpc_handled_total{" PROJECT ",code=\"UNKNOWN\"} 1"));
    CHECK(has_line(text, "tritd_rpc_handled_total{method=\"/trit.v1.Ternary/Ve\\\"r\","
                         "code=\"OK\"} 0"));
    CHECK(has_line(text, "tritd_rpc_handled_total{method=\"unknown\","
                         "code=\"UNIMPLEMENTED\"} 1"));
    CHECK(has_line(text, "tritd_rpc_seconds_bucket{" PROJECT ",le=\"0.0001\"} 2"));
    CHECK(has_line(text, "tritd_rpc_seconds_bucket{" PROJECT ",le=\"0.00025\"} 3"));
    CHECK(has_line(text, "tritd_rpc_seconds_bucket{" PROJECT ",le=\"10.0\"} 3"));
    CHECK(has_line(text, "tritd_rpc_seconds_bucket{" PROJECT ",le=\"60.0\"} 4"));
    CHECK(has_line(text, "tritd_rpc_seconds_bucket{" PROJECT ",le=\"120.0\"} 4"));
    CHECK(has_line(text, "tritd_rpc_seconds_bucket{" PROJECT ",le=\"+Inf\"} 4"));
    CHECK(has_line(text, "tritd_rpc_seconds_sum{" PROJECT "} 60.000201001"));
    CHECK(has_line(text, "tritd_rpc_seconds_count{" PROJECT "} 4"));
#undef PROJECT
    free(text);
    metrics_destroy(metrics);
}

CASE(calls_in_flight, "calls in flight are counted by method")
{
    struct metrics *metrics = create();
    char *text;

    metric_call_begin(metrics, 0);
    metric_call_begin(metrics, 0);
    metric_call_end(metrics, 0);
    text = render(metrics, false);
    CHECK(has_line(text, "tritd_rpc_in_flight{method=\"/trit.v1.Ternary/Project\"} 1"));
    free(text);
    metrics_destroy(metrics);
}

CASE(other_times, "times that belong to no call have a histogram without method labels")
{
    struct metrics *metrics = create();
    char *text;

    metric_observe(metrics, H_STORE_COMMIT, 3000000);
    text = render(metrics, false);
    CHECK(has_line(text, "tritd_store_commit_seconds_bucket{le=\"0.0025\"} 0"));
    CHECK(has_line(text, "tritd_store_commit_seconds_bucket{le=\"0.005\"} 1"));
    CHECK(has_line(text, "tritd_store_commit_seconds_sum 0.003000000"));
    CHECK(has_line(text, "tritd_store_commit_seconds_count 1"));
    free(text);
    metrics_destroy(metrics);
}

static uint64_t sample(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    CHECK(at);
    return strtoull(at + strlen(name), NULL, 10);
}

CASE(knows_its_process, "the process reports its memory, files and age")
{
    struct metrics *metrics = create();
    char *text = render(metrics, false);
    uint64_t fds = sample(text, "\nprocess_open_fds ");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK(sample(text, "\nprocess_resident_memory_bytes ") > 100000);
    CHECK(sample(text, "\nprocess_start_time_seconds ") > 1700000000);
    CHECK(sample(text, "\nprocess_max_fds ") >= fds);
    free(text);
    text = render(metrics, false);
    CHECK_EQ(sample(text, "\nprocess_open_fds "), fds + 1);
    close(fd);
    free(text);
    metrics_destroy(metrics);
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *count(void *arg)
{
    struct metrics *metrics = arg;

    for (int i = 0; i < ROUNDS; i++) {
        metric_up(metrics, M_QUEUE);
        metric_add(metrics, M_ELEMENTS, 3);
        metric_call(metrics, 1, TRIT_OK, 1000000);
        metric_down(metrics, M_QUEUE);
    }
    return NULL;
}

CASE(threads_lose_nothing, "counts from many threads lose nothing")
{
    struct metrics *metrics = create();
    pthread_t threads[THREADS];
    char *text;

    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, count, metrics) == 0);
    for (int i = 0; i < 20; i++)
        free(render(metrics, i % 2));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(metric_get(metrics, M_QUEUE), 0);
    CHECK_EQ(metric_get(metrics, M_ELEMENTS), 3 * THREADS * ROUNDS);
    text = render(metrics, false);
    CHECK(strstr(text, "le=\"0.001\"} 20000\n"));
    free(text);
    metrics_destroy(metrics);
}

CASE(null_is_harmless, "counting without metrics does nothing")
{
    size_t bytes = 0;

    metric_job(NULL, "Verify", R_PASS);
    metric_add(NULL, M_TILES, 1);
    metric_set(NULL, M_QUEUE, 1);
    metric_up(NULL, M_QUEUE);
    metric_down(NULL, M_QUEUE);
    metric_limit(NULL, L_IDLE);
    metric_call(NULL, 0, TRIT_OK, 1);
    CHECK_EQ(metric_get(NULL, M_TILES), 0);
    CHECK(!metrics_render(NULL, false, &bytes));
    metrics_destroy(NULL);
}

CASE(lack_of_memory_is_null, "if memory runs out, creation returns NULL")
{
    struct metrics *metrics;
    size_t bytes = 7;

    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!metrics_create(methods, 2, "0", "x"));
    CHECK(fault_disarm());
    metrics = create();
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!metrics_render(metrics, true, &bytes));
    CHECK(fault_disarm());
    CHECK_EQ(bytes, 7);
    metrics_destroy(metrics);
}
