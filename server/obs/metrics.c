/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/metrics.h"

#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/number.h"
#include "obs/counters.h"

/* No value orders accesses to other memory, so relaxed order is enough. A scrape
 * reads each value at some instant of the scrape. */

static void raise(_Atomic uint64_t *value, uint64_t amount)
{
    atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
}

struct metrics *metrics_create(const char *const *methods, size_t method_count,
                               const char *version, const char *isa)
{
    struct metrics *metrics =
        calloc(1, sizeof(*metrics) + (method_count + 1) * sizeof(metrics->calls[0]));

    if (!metrics)
        return NULL;
    metrics->methods = methods;
    metrics->method_count = method_count;
    metrics->version = version;
    metrics->isa = isa;
    metrics->start_unix_ns = (uint64_t)clock_unix_ns();
    pthread_mutex_init(&metrics->runs_mutex, NULL);
    return metrics;
}

void metrics_destroy(struct metrics *metrics)
{
    if (!metrics)
        return;
    pthread_mutex_destroy(&metrics->runs_mutex);
    free(metrics->runs);
    free(metrics);
}

void metric_add(struct metrics *metrics, enum metric_id id, uint64_t amount)
{
    if (metrics)
        raise(&metrics->values[id], amount);
}

void metric_set(struct metrics *metrics, enum metric_id id, uint64_t value)
{
    if (metrics)
        atomic_store_explicit(&metrics->values[id], value, memory_order_relaxed);
}

void metric_up(struct metrics *metrics, enum metric_id id)
{
    metric_add(metrics, id, 1);
}

void metric_sub(struct metrics *metrics, enum metric_id id, uint64_t amount)
{
    metric_add(metrics, id, 0 - amount); /* modulo 2^64 */
}

void metric_down(struct metrics *metrics, enum metric_id id)
{
    metric_sub(metrics, id, 1);
}

uint64_t metric_get(const struct metrics *metrics, enum metric_id id)
{
    return metrics ? atomic_load_explicit(&metrics->values[id], memory_order_relaxed) : 0;
}

void metrics_set_http_paths(struct metrics *metrics, const char *const *paths,
                            size_t count)
{
    if (!metrics)
        return;
    metrics->http_paths = paths;
    metrics->http_path_count = u64_min(count, HTTP_PATHS_MAX);
}

void metric_http(struct metrics *metrics, size_t path, unsigned code)
{
    size_t i = 0;

    if (!metrics)
        return;
    while (i + 1 < HTTP_CODES && http_codes[i] != code)
        i++;
    raise(&metrics->http[u64_min(path, metrics->http_path_count)][i], 1);
}

void metric_limit(struct metrics *metrics, enum limit_id id)
{
    if (metrics)
        raise(&metrics->limits[id], 1);
}

void metric_product(struct metrics *metrics, enum product_id id, uint64_t rows,
                    uint64_t products)
{
    if (!metrics)
        return;
    raise(&metrics->rows[id], rows);
    raise(&metrics->products[id], products);
}

void metric_job(struct metrics *metrics, const char *method, enum job_result_id result)
{
    static const char *const kinds[] = {
#define JOB_KIND(id, name) [id] = name,
#include "obs/job_kinds.def"
#undef JOB_KIND
    };

    for (size_t i = 0; metrics && i < JOB_KIND_COUNT; i++)
        if (strcasecmp(kinds[i], method) == 0)
            raise(&metrics->jobs[i][result], 1);
}

static size_t bucket_of(uint64_t duration_ns)
{
    size_t bucket = 0;

    while (bucket < SECONDS_BUCKETS && duration_ns > seconds_buckets[bucket].ns)
        bucket++;
    return bucket;
}

static void observe(struct histogram *histogram, uint64_t duration_ns)
{
    raise(&histogram->buckets[bucket_of(duration_ns)], 1);
    raise(&histogram->sum_ns, duration_ns);
}

void metric_observe(struct metrics *metrics, enum histogram_id id, uint64_t duration_ns)
{
    if (metrics)
        observe(&metrics->histograms[id], duration_ns);
}

static struct call_counters *calls_of(struct metrics *metrics, size_t method)
{
    return &metrics->calls[u64_min(method, metrics->method_count)];
}

void metric_call_begin(struct metrics *metrics, size_t method)
{
    if (metrics)
        raise(&calls_of(metrics, method)->in_flight, 1);
}

void metric_call_end(struct metrics *metrics, size_t method)
{
    if (metrics)
        raise(&calls_of(metrics, method)->in_flight, UINT64_MAX); /* modulo 2^64 */
}

void metric_call(struct metrics *metrics, size_t method, enum trit_status status,
                 uint64_t duration_ns)
{
    size_t code = (size_t)status < STATUS_COUNT ? (size_t)status : TRIT_UNKNOWN;
    struct call_counters *calls;

    if (!metrics)
        return;
    calls = calls_of(metrics, method);
    raise(&calls->handled[code], 1);
    observe(&calls->seconds, duration_ns);
}
