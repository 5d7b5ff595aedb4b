/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a request, with the refusals that depend on the call. */
#include "base/checked.h"

#include "obs/metrics.h"
#include "services/ternary/tensor_call.h"
#include <inttypes.h>

static uint64_t elements_of(const struct plan_spec *spec)
{
    uint64_t elements = 1;

    for (uint32_t i = 0; i < spec->rank && i < TRIT_RANK_MAX; i++)
        if (mul_overflows(elements, spec->shape[i], &elements))
            return 0;
    return elements;
}

/* The codes of a tensor that is one tile reach the store in one piece. */
static int check_filed(struct call *call, const struct plan *plan)
{
    struct report_write *report_write = &tensor_call_pipeline(call)->report_write;

    if (!plan->whole || report_write->state != REPORT_WRITE_WANTED ||
        plan->elements / 4 <= STORE_CODES_PENDING_MAX)
        return 0;
    if (report_write->best_effort) {
        report_write->without_codes = true;
        return 0;
    }
    metric_limit(call->config->metrics, L_WHOLE_ELEMENTS);
    return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, "layer",
                      "the tensor has one scale and %" PRIu64
                      " elements; its report can be stored "
                      "for at most %" PRIu64 " elements; leave the layer out",
                      plan->elements, (uint64_t)STORE_CODES_PENDING_MAX * 4);
}

static int refuse_stream(struct call *call, const struct plan_spec *spec)
{
    const struct encoding_layout *in = encoding_layout(spec->in);
    enum trit_encoding encoding =
        in && in->scales == SCALES_TENSOR ? spec->in : spec->out;

    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                      "%s has one scale for the tensor; use Pack instead of PackStream",
                      encoding_name(encoding));
}

int tensor_call_plan(struct call *call, const struct plan_spec *spec, struct plan *plan)
{
    if (spec->group_size > GROUP_SIZE_MAX)
        metric_limit(call->config->metrics, L_GROUP_SIZE);
    if (plan_is_whole(spec) && call->method->streaming && spec->regroups)
        return refuse_stream(call, spec);
    if (plan_init(plan, spec, &call->failure) == 0)
        return check_filed(call, plan);
    if (plan_is_whole(spec) && elements_of(spec) > WHOLE_ELEMENTS_MAX)
        metric_limit(call->config->metrics, L_WHOLE_ELEMENTS);
    return -1;
}
