/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a request, with the refusals that depend on the call. */
#include "base/checked.h"

#include "obs/metrics.h"
#include "services/ternary/tensor_call.h"

static uint64_t elements_of(const struct plan_spec *spec)
{
    uint64_t elements = 1;

    for (uint32_t i = 0; i < spec->rank && i < TRIT_RANK_MAX; i++)
        if (mul_overflows(elements, spec->shape[i], &elements))
            return 0;
    return elements;
}

/* The codes of a tensor that is one tile reach the store together. A best-effort write does
 * not wait for the store, so it goes without codes that are too many for its queue. */
static void check_filed(struct call *call, const struct plan *plan)
{
    struct report_write *report_write = &tensor_call_pipeline(call)->report_write;

    report_write->without_codes |= report_write->best_effort && plan->whole &&
                                   report_write->state == REPORT_WRITE_WANTED &&
                                   plan->elements / 4 > STORE_CODES_PENDING_MAX;
}

/* Checks the shard, if the report is of one. With a reference this comes once for each
 * tensor, of the same shape. */
static int check_shard(struct call *call, struct plan *plan)
{
    struct report_write *report_write = &tensor_call_pipeline(call)->report_write;

    if (report_write->state == REPORT_WRITE_NONE || report_write->answer->shard_rank == 0)
        return 0;
    if (!report_write->shard &&
        shard_report_create(&report_write->shard, report_write->answer, plan,
                            &call->failure) < 0)
        return -1;
    plan->by_rows =
        tensor_call_verifies(call) && shard_report_by_rows(report_write->shard);
    return 0;
}

/* plan_init, or the plan of the last call where it asked the same. */
static int make_plan(struct services *services, const struct plan_spec *spec,
                     struct plan *plan, struct failure *failure)
{
    if (spec->rank > 0 && plan_spec_equal(spec, &services->last_spec)) {
        *plan = services->last;
        return 0;
    }
    if (plan_init(plan, spec, failure) < 0)
        return -1;
    services->last = *plan;
    services->last_spec = *spec;
    return 0;
}

int tensor_call_plan(struct call *call, const struct plan_spec *spec, struct plan *plan)
{
    if (spec->group_size > GROUP_SIZE_MAX)
        metric_limit(call->config->metrics, L_GROUP_SIZE);
    if (make_plan(services_of(call), spec, plan, &call->failure) == 0) {
        check_filed(call, plan);
        return check_shard(call, plan);
    }
    if (plan_is_whole(spec) && elements_of(spec) > WHOLE_ELEMENTS_MAX)
        metric_limit(call->config->metrics, L_WHOLE_ELEMENTS);
    return -1;
}
