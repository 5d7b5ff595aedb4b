/* What the daemon counts. Each metric is born in one entry of metric_ids.def with
 * its meaning in prose, and is rendered in the Prometheus text format or
 * OpenMetrics. Counters and gauges are atomics: any thread, no lock. Labels
 * come from closed sets (method, status code, limit, kind of product), never from a peer.
 */
#ifndef OBS_METRICS_H
#define OBS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "obs/metric_ids.h"

struct metrics;

/* NULL on lack of memory. `methods`, `version`, `isa` are kept. `methods` are the
 * rpc paths that get a label; their index is the method id; any other id counts
 * under the label "unknown". Every function below is harmless on NULL. */
struct metrics *metrics_create(const char *const *methods, size_t method_count,
                               const char *version, const char *isa);
void metrics_destroy(struct metrics *metrics);

void metric_add(struct metrics *metrics, enum metric_id id, uint64_t amount);
void metric_set(struct metrics *metrics, enum metric_id id, uint64_t value);
void metric_up(struct metrics *metrics, enum metric_id id); /* gauges */
void metric_down(struct metrics *metrics, enum metric_id id);
void metric_sub(struct metrics *metrics, enum metric_id id, uint64_t amount);
uint64_t metric_get(const struct metrics *metrics, enum metric_id id);

void metric_limit(struct metrics *metrics, enum limit_id id);

/* Of one product: rows of the batch, and multiply-adds; tritd_layer_rows_total{kind}
 * and tritd_layer_products_total{kind}. */
void metric_product(struct metrics *metrics, enum product_id id, uint64_t rows,
                    uint64_t products);

/* One finished call: tritd_rpc_handled_total{method,code} and the histogram
 * tritd_rpc_seconds{method}. */
void metric_call(struct metrics *metrics, size_t method, enum trit_status status,
                 uint64_t duration_ns);

/* The exposition, malloc'ed, NUL-terminated; the caller frees. NULL on lack of
 * memory. Content types: "text/plain; version=0.0.4; charset=utf-8", or
 * "application/openmetrics-text; version=1.0.0; charset=utf-8". */
char *metrics_render(struct metrics *metrics, bool openmetrics, size_t *bytes);

#endif
