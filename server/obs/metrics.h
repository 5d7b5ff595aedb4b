/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon counts. One entry of metric_ids.def defines a metric with its
 * meaning in prose. metrics_render writes all as Prometheus text or OpenMetrics.
 * Counters and gauges are atomics: any thread, no lock. Labels come from closed sets
 * (method, status code, path, limit, kind of product), never from a peer, except those of
 * the metrics of runs (runs.h), which have a bound. */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "obs/metric_ids.h"

struct metrics;

/* Keeps `methods`, `version` and `isa`. `methods` are the RPC paths that get a label;
 * the index is the method id, and any other id counts as "unknown". Every function
 * below is harmless on NULL. NULL: out of memory. */
struct metrics *metrics_create(const char *const *methods, size_t method_count,
                               const char *version, const char *isa);
void metrics_destroy(struct metrics *metrics);

void metric_add(struct metrics *metrics, enum metric_id id, uint64_t amount);
void metric_set(struct metrics *metrics, enum metric_id id, uint64_t value);
void metric_up(struct metrics *metrics, enum metric_id id); /* gauges */
void metric_down(struct metrics *metrics, enum metric_id id);
void metric_sub(struct metrics *metrics, enum metric_id id, uint64_t amount);
uint64_t metric_get(const struct metrics *metrics, enum metric_id id);

/* Keeps the paths of HTTP requests that get a label, at most 32; others count as "other".
 * Call it before the first metric_http. */
void metrics_set_http_paths(struct metrics *metrics, const char *const *paths,
                            size_t count);

/* tritd_http_requests_total{path,code}: a request was answered. `path` is an index. */
void metric_http(struct metrics *metrics, size_t path, unsigned code);

void metric_limit(struct metrics *metrics, enum limit_id id);

/* Counts one product: rows of the batch (tritd_layer_rows_total{kind}) and
 * multiply-adds (tritd_layer_products_total{kind}). */
void metric_product(struct metrics *metrics, enum product_id id, uint64_t rows,
                    uint64_t products);

/* tritd_jobs_finished_total{kind,result}: a job over a checkpoint has ended. `method` is that
 * which started it, "Verify"; one that job_kinds.def lacks is not counted. */
void metric_job(struct metrics *metrics, const char *method, enum job_result_id result);

void metric_observe(struct metrics *metrics, enum histogram_id id, uint64_t duration_ns);

/* tritd_rpc_in_flight{method}: a call began, or ended. */
void metric_call_begin(struct metrics *metrics, size_t method);
void metric_call_end(struct metrics *metrics, size_t method);

/* Counts one finished call: tritd_rpc_handled_total{method,code} and the histogram
 * tritd_rpc_seconds{method}. A request that was refused before it became a call counts
 * too. */
void metric_call(struct metrics *metrics, size_t method, enum trit_status status,
                 uint64_t duration_ns);

/* The text of all metrics, NUL-terminated; the caller frees it with free(). NULL: out
 * of memory. Content type: "text/plain; version=0.0.4; charset=utf-8", or
 * "application/openmetrics-text; version=1.0.0; charset=utf-8". */
char *metrics_render(struct metrics *metrics, bool openmetrics, size_t *bytes);

#endif
