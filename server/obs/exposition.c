/* SPDX-License-Identifier: Apache-2.0 */
/* The two text formats: Prometheus 0.0.4 and OpenMetrics 1.0.0. They differ in the
 * name of a family (in OpenMetrics without _total or _info) and in the end mark. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/counters.h"
#include "obs/family.h"
#include "obs/metrics.h"
#include "obs/process.h"
#include "obs/runs.h"

enum { METHOD_NONE = INT_MAX };

enum metric_type { GAUGE, COUNTER, COUNTER_NS };

static const struct {
    const char *name;
    enum metric_type type;
    const char *help;
} metric_table[] = {
#define METRIC(id, name, type, help) [id] = {name, type, help},
#include "obs/metric_ids.def"
#undef METRIC
};

static const struct {
    const char *name, *help;
} histogram_table[] = {
#define HISTOGRAM(id, name, help) [id] = {name, help},
#include "obs/histograms.def"
#undef HISTOGRAM
};

static const char *const limit_names[] = {
#define LIMIT(id, name) [id] = name,
#include "obs/limits.def"
#undef LIMIT
};

static const char *const product_names[] = {
#define PRODUCT(id, name) [id] = name,
#include "obs/products.def"
#undef PRODUCT
};

static const char *const job_kind_names[] = {
#define JOB_KIND(id, name) [id] = name,
#include "obs/job_kinds.def"
#undef JOB_KIND
};

static const char *const job_result_names[] = {
#define JOB_RESULT(id, name) [id] = name,
#include "obs/job_results.def"
#undef JOB_RESULT
};

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* Exact: a double would round after 104 days of nanoseconds. */
static void put_seconds(const struct exposition *to, uint64_t ns)
{
    fprintf(to->out, " %" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void put_table(const struct exposition *to, const struct metrics *metrics)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const char *name = metric_table[i].name;
        uint64_t value = load(&metrics->values[i]);

        put_family(to, name, metric_table[i].type == GAUGE ? "gauge" : "counter",
                   metric_table[i].help);
        fputs(name, to->out);
        if (metric_table[i].type == COUNTER_NS)
            put_seconds(to, value);
        else
            fprintf(to->out, " %" PRIu64 "\n", value);
    }
}

/* A counter with one value for each value of a label. */
struct counters {
    const char *name, *help, *label;
    const char *const *values; /* the label's */
    size_t count;
    const _Atomic uint64_t *counts;
};

static void put_counters(const struct exposition *to, const struct counters *counters)
{
    put_family(to, counters->name, "counter", counters->help);
    for (size_t i = 0; i < counters->count; i++)
        fprintf(to->out, "%s{%s=\"%s\"} %" PRIu64 "\n", counters->name, counters->label,
                counters->values[i], load(&counters->counts[i]));
}

static void put_labelled(const struct exposition *to, const struct metrics *metrics)
{
    const struct counters all[] = {
        {"tritd_limit_refusals_total",
         "Requests, connections or bytes refused because of a limit.", "limit",
         limit_names, LIMIT_COUNT, metrics->limits},
        {"tritd_layer_rows_total", "Rows of a batch multiplied with a held layer.",
         "kind", product_names, PRODUCT_COUNT, metrics->rows},
        {"tritd_layer_products_total", "Multiply-adds of products with held layers.",
         "kind", product_names, PRODUCT_COUNT, metrics->products},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        put_counters(to, &all[i]);
}

static void put_jobs(const struct exposition *to, const struct metrics *metrics)
{
    put_family(to, "tritd_jobs_finished_total", "counter",
               "Jobs over checkpoints that ended, by kind and result.");
    for (size_t kind = 0; kind < JOB_KIND_COUNT; kind++)
        for (size_t result = 0; result < JOB_RESULT_COUNT; result++)
            fprintf(to->out,
                    "tritd_jobs_finished_total{kind=\"%s\",result=\"%s\"} %" PRIu64 "\n",
                    job_kind_names[kind], job_result_names[result],
                    load(&metrics->jobs[kind][result]));
}

static void put_method(const struct exposition *to, const struct metrics *metrics,
                       size_t method)
{
    fputs("method=\"", to->out);
    put_escaped(to,
                method < metrics->method_count ? metrics->methods[method] : "unknown");
    fputc('"', to->out);
}

/* OK is written from the start, so that rates begin at 0; another code is written
 * once a call ended with it. */
static void put_handled(const struct exposition *to, const struct metrics *metrics)
{
    put_family(to, "tritd_rpc_handled_total", "counter",
               "RPC calls finished, by method and gRPC status.");
    for (size_t method = 0; method <= metrics->method_count; method++) {
        for (size_t code = 0; code < STATUS_COUNT; code++) {
            uint64_t count = load(&metrics->calls[method].handled[code]);

            if (count == 0 && (code != TRIT_OK || method == metrics->method_count))
                continue;
            fputs("tritd_rpc_handled_total{", to->out);
            put_method(to, metrics, method);
            fprintf(to->out, ",code=\"%s\"} %" PRIu64 "\n",
                    status_name((enum trit_status)code), count);
        }
    }
}

/* One sample of a histogram: its name and suffix, and its labels. `method` may be
 * METHOD_NONE, `le` NULL. */
static void put_sample(const struct exposition *to, const struct metrics *metrics,
                       const char *name, const char *suffix, size_t method,
                       const char *le)
{
    fprintf(to->out, "%s%s", name, suffix);
    if (method == METHOD_NONE && !le)
        return;
    fputc('{', to->out);
    if (method != METHOD_NONE)
        put_method(to, metrics, method);
    if (le)
        fprintf(to->out, "%sle=\"%s\"", method != METHOD_NONE ? "," : "", le);
    fputc('}', to->out);
}

/* The count is the sum of the buckets as read here, so that the two always agree. */
static void put_histogram(const struct exposition *to, const struct metrics *metrics,
                          const char *name, size_t method,
                          const struct histogram *histogram)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= SECONDS_BUCKETS; i++) {
        count += load(&histogram->buckets[i]);
        put_sample(to, metrics, name, "_bucket", method,
                   i < SECONDS_BUCKETS ? seconds_buckets[i].le : "+Inf");
        fprintf(to->out, " %" PRIu64 "\n", count);
    }
    put_sample(to, metrics, name, "_sum", method, NULL);
    put_seconds(to, load(&histogram->sum_ns));
    put_sample(to, metrics, name, "_count", method, NULL);
    fprintf(to->out, " %" PRIu64 "\n", count);
}

static void put_histograms(const struct exposition *to, const struct metrics *metrics)
{
    for (size_t i = 0; i < HISTOGRAM_COUNT; i++) {
        put_family(to, histogram_table[i].name, "histogram", histogram_table[i].help);
        put_histogram(to, metrics, histogram_table[i].name, METHOD_NONE,
                      &metrics->histograms[i]);
    }
}

static void put_in_flight(const struct exposition *to, const struct metrics *metrics)
{
    put_family(to, "tritd_rpc_in_flight", "gauge", "RPC calls in progress, by method.");
    for (size_t method = 0; method < metrics->method_count; method++) {
        put_sample(to, metrics, "tritd_rpc_in_flight", "", method, NULL);
        fprintf(to->out, " %" PRIu64 "\n", load(&metrics->calls[method].in_flight));
    }
}

static void put_calls(const struct exposition *to, const struct metrics *metrics)
{
    put_handled(to, metrics);
    put_in_flight(to, metrics);
    put_family(to, "tritd_rpc_seconds", "histogram",
               "Time from a call's headers to its trailers, by method.");
    for (size_t method = 0; method <= metrics->method_count; method++)
        put_histogram(to, metrics, "tritd_rpc_seconds", method,
                      &metrics->calls[method].seconds);
}

/* Only what was counted is written: most paths never give most codes. */
static void put_http(const struct exposition *to, const struct metrics *metrics)
{
    put_family(to, "tritd_http_requests_total", "counter",
               "HTTP requests answered, by path and status code.");
    for (size_t path = 0; path <= metrics->http_path_count; path++) {
        for (size_t i = 0; i < HTTP_CODES; i++) {
            uint64_t count = load(&metrics->http[path][i]);

            if (count == 0)
                continue;
            fputs("tritd_http_requests_total{path=\"", to->out);
            put_escaped(to, path < metrics->http_path_count ? metrics->http_paths[path]
                                                            : "other");
            if (http_codes[i])
                fprintf(to->out, "\",code=\"%u\"} %" PRIu64 "\n", http_codes[i], count);
            else
                fprintf(to->out, "\",code=\"other\"} %" PRIu64 "\n", count);
        }
    }
}

static void put_build(const struct exposition *to, const struct metrics *metrics)
{
    put_family(to, "tritd_build_info", to->openmetrics ? "info" : "gauge",
               "The daemon's version, and the instruction set its kernels use.");
    fputs("tritd_build_info{version=\"", to->out);
    put_escaped(to, metrics->version);
    fputs("\",isa=\"", to->out);
    put_escaped(to, metrics->isa);
    fputs("\"} 1\n", to->out);
}

/* The standard names of Prometheus clients. */
static void put_process(const struct exposition *to, const struct metrics *metrics)
{
    struct process_usage usage;

    process_usage_read(&usage);
    put_family(to, "process_start_time_seconds", "gauge",
               "When the process started, in seconds since 1970.");
    fputs("process_start_time_seconds", to->out);
    put_seconds(to, metrics->start_unix_ns);
    put_family(to, "process_cpu_seconds_total", "counter",
               "User and system time of all threads.");
    fputs("process_cpu_seconds_total", to->out);
    put_seconds(to, usage.cpu_ns);
    put_family(to, "process_resident_memory_bytes", "gauge", "Memory resident now.");
    fprintf(to->out, "process_resident_memory_bytes %" PRIu64 "\n", usage.resident_bytes);
    put_family(to, "process_open_fds", "gauge", "File descriptors open now.");
    fprintf(to->out, "process_open_fds %" PRIu64 "\n", usage.fds_open);
    put_family(to, "process_max_fds", "gauge", "File descriptors that may be open.");
    fprintf(to->out, "process_max_fds %" PRIu64 "\n", usage.fds_max);
}

char *metrics_render(struct metrics *metrics, bool openmetrics, size_t *bytes)
{
    char *text = NULL;
    size_t length = 0;
    struct exposition to = {.openmetrics = openmetrics};
    bool failed;

    if (!metrics || !(to.out = open_memstream(&text, &length)))
        return NULL;
    put_build(&to, metrics);
    put_table(&to, metrics);
    put_labelled(&to, metrics);
    put_jobs(&to, metrics);
    put_calls(&to, metrics);
    put_histograms(&to, metrics);
    put_http(&to, metrics);
    put_runs(&to, metrics);
    put_process(&to, metrics);
    if (openmetrics)
        fputs("# EOF\n", to.out);
    failed = ferror(to.out) != 0;
    if (fclose(to.out) != 0 || failed) {
        free(text);
        return NULL;
    }
    *bytes = length;
    return text;
}
