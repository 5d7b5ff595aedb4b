/* SPDX-License-Identifier: Apache-2.0 */
/* A request's plan, with what the call itself forbids and counts. */
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

/* The codes of a tensor in one tile reach the store all at once. */
static int check_filed(struct call *call, const struct plan *plan)
{
    const struct record *record = &tensor_call_pipeline(call)->record;

    if (!plan->whole || record->state != RECORD_WANTED ||
        plan->elements / 4 <= STORE_CODES_PENDING_MAX)
        return 0;
    metric_limit(call->config->metrics, L_WHOLE_ELEMENTS);
    return fail_field(&call->failure, TRIT_RESOURCE_EXHAUSTED, "layer",
                      "a report of a tensor with one scale is kept for up to %llu "
                      "elements, this has %llu",
                      (unsigned long long)STORE_CODES_PENDING_MAX * 4,
                      (unsigned long long)plan->elements);
}

static int refuse_stream(struct call *call, const struct plan_spec *spec)
{
    const struct encoding_layout *in = encoding_layout(spec->in);
    enum trit_encoding encoding =
        in && in->scales == SCALES_TENSOR ? spec->in : spec->out;

    return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                      "%s has one scale for the whole tensor, which is known "
                      "at its end%s: not in a stream; use the unary method",
                      encoding_name(encoding),
                      encoding_layout(encoding)->interleaved
                          ? ", and a byte holds rows far apart"
                          : "");
}

int tensor_call_plan(struct call *call, const struct plan_spec *spec, struct plan *plan)
{
    if (spec->group_size > GROUP_SIZE_MAX)
        metric_limit(call->config->metrics, L_GROUP_SIZE);
    if (plan_is_whole(spec) && call->method->streaming)
        return refuse_stream(call, spec);
    if (plan_init(plan, spec, &call->failure) == 0)
        return check_filed(call, plan);
    if (plan_is_whole(spec) && elements_of(spec) > WHOLE_ELEMENTS_MAX)
        metric_limit(call->config->metrics, L_WHOLE_ELEMENTS);
    return -1;
}
