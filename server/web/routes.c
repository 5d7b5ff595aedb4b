/* SPDX-License-Identifier: Apache-2.0 */
#include "web/routes.h"

#include "web/handlers.h"

/* Pattern, handler, query keys, kind, and the policy that a caller needs. A row without a
 * policy does not compile. */
#define ROUTES(X)                                                                        \
    X("/", serve_index_page, "page", PAGE, READ)                                         \
    X("/runs/*", serve_run_page, "by order health layer page attempt replica", PAGE,     \
      READ)                                                                              \
    X("/runs/*/layers/*", serve_layer_page, "step to attempt replica", PAGE, READ)       \
    X("/compare", serve_compare_page, "a b page", PAGE, READ)                            \
    X("/jobs", serve_jobs_page, "page", PAGE, CHECKPOINTS)                               \
    X("/jobs/*", serve_job_page, "", PAGE, CHECKPOINTS)                                  \
    X("/v1/jobs", serve_jobs_json, "after limit", PAGE, CHECKPOINTS)                     \
    X("/v1/jobs/*", serve_job_json, "", PAGE, CHECKPOINTS)                               \
    X("/v1/runs", serve_runs_json, "after limit", PAGE, READ)                            \
    X("/v1/runs/*", serve_run_json, "attempt replica", PAGE, READ)                       \
    X("/v1/runs/*/history", serve_history_json,                                          \
      "fields layer from to every after limit attempt replica", PAGE, READ)              \
    X("/v1/runs/*/layers", serve_layers_json,                                            \
      "layer health after limit attempt replica", PAGE, READ)                            \
    X("/v1/runs/*/layers/*", serve_layer_json, "step from to limit attempt replica",     \
      PAGE, READ)                                                                        \
    X("/v1/events", serve_events, "", PAGE, READ)                                        \
    X("/v1/openapi.json", serve_openapi, NULL, PAGE, READ)                               \
    X("/livez", serve_livez, NULL, PROBE, EVERYONE)                                      \
    X("/readyz", serve_readyz, NULL, PROBE, EVERYONE)                                    \
    X("/healthz", serve_healthz, NULL, PROBE, EVERYONE)                                  \
    X("/metrics", serve_metrics, NULL, METRICS, READ)                                    \
    X("/style.css", serve_style, NULL, PAGE, EVERYONE)                                   \
    X("/live.js", serve_script, NULL, PAGE, EVERYONE)                                    \
    X("/icon.svg", serve_icon, NULL, PAGE, EVERYONE)

#define ROUTE_OF(pattern, handler, parameters, kind, policy)                             \
    {pattern, handler, parameters, ROUTE_##kind, POLICY_##policy},
const struct route routes[] = {ROUTES(ROUTE_OF){NULL, NULL, NULL, 0, POLICY_NONE}};

#define PATTERN_OF(pattern, handler, parameters, kind, policy) pattern,
const char *const route_patterns[] = {ROUTES(PATTERN_OF)};
const size_t route_count = sizeof(route_patterns) / sizeof(route_patterns[0]);

#define CHECK_POLICY(pattern, handler, parameters, kind, policy)                         \
    _Static_assert(POLICY_##policy > POLICY_NONE && POLICY_##policy < POLICIES,          \
                   pattern " needs a policy of base/policy.h");
ROUTES(CHECK_POLICY)
