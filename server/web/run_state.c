/* SPDX-License-Identifier: Apache-2.0 */
#include "web/run_state.h"

#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "json_value.h"
#include "web/reply.h"

static bool visit(void *arg, const struct trit_report *report)
{
    return run_layers_add(arg, report);
}

static bool visit_damaged(void *arg, const struct store_key *key)
{
    return run_layers_add_damaged(arg, key);
}

int run_state_read(struct run_state *state, const struct web_config *web,
                   const struct request *request, const char *run,
                   struct failure *failure)
{
    const struct store_query query = {
        .run = run,
        .attempt = (uint32_t)request->attempt,
        .replica = (uint32_t)request->replica,
        .step_to = UINT64_MAX,
        .latest_only = true,
        .all_replicas = request->replica == 0,
        .limit = UINT32_MAX,
        .now_unix_ns = clock_unix_ns(),
        .passed = visit_damaged,
    };

    *state = (struct run_state){.attempt = request->attempt,
                                .layers = {.max = RUN_LAYERS_MAX}};
    strcpy(state->run, run);
    if (store_read_run(web->reader, run, query.attempt, &state->facts, failure) < 0 ||
        store_read_reports(web->reader, &query, visit, &state->layers, failure) < 0)
        return -1;
    return run_layers_finish(&state->layers)
               ? 0
               : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

void run_state_fini(struct run_state *state)
{
    run_layers_fini(&state->layers);
}

int json_put_sums(json_t *object, const struct store_run_info *info)
{
    const bool known = info->damaged == 0;

    return json_object_set_new(object, "reports",
                               known ? json_uint64(info->reports) : json_null()) ||
                   json_object_set_new(
                       object, "step_min",
                       json_step(known && info->has_steps, info->step_min)) ||
                   json_object_set_new(
                       object, "step_max",
                       json_step(known && info->has_steps, info->step_max)) ||
                   json_object_set_new(object, "time_unix_ns",
                                       known && info->reports
                                           ? json_int64(info->time_unix_ns)
                                           : json_null()) ||
                   (!known &&
                    json_object_set_new(object, "damaged", json_uint64(info->damaged)))
               ? -1
               : 0;
}
