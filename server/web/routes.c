/* SPDX-License-Identifier: Apache-2.0 */
#include "web/routes.h"

#include "web/handlers.h"

/* Pattern, handler, query keys, kind, and the policy that a caller needs. A row without a
 * policy does not compile. */
#define ROUTES(X)                                                                        \
    X("/", serve_index_page, "after_run after", PAGE, READ)                              \
    X("/runs/*", serve_run_page, "after", PAGE, READ)                                    \
    X("/runs/*/layers/*", serve_layer_page, "step to", PAGE, READ)                       \
    X("/v1/runs", serve_runs_json, "after", PAGE, READ)                                  \
    X("/v1/runs/*/layers", serve_layers_json, "after", PAGE, READ)                       \
    X("/v1/runs/*/layers/*", serve_layer_json, "step from to", PAGE, READ)               \
    X("/livez", serve_livez, NULL, PROBE, EVERYONE)                                      \
    X("/readyz", serve_readyz, NULL, PROBE, EVERYONE)                                    \
    X("/healthz", serve_healthz, NULL, PROBE, EVERYONE)                                  \
    X("/metrics", serve_metrics, NULL, METRICS, READ)                                    \
    X("/style.css", serve_style, NULL, PAGE, EVERYONE)                                   \
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
