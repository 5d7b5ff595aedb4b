/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a call: made from the merged tiles, filed, and then the reply. */
#include <stdio.h>

#include "base/clock.h"
#include "obs/metrics.h"
#include "services/ternary/report.h"
#include "services/ternary/tensor_call.h"

bool tensor_call_verifies(struct call *call)
{
    const struct tensor_call *state = call->method_state;

    return state->ops->verifies;
}

static void written(struct call *call)
{
    struct tensor_call *state = call->method_state;
    struct store_put *put = &state->pipeline.report_write.put;

    if (put->failure.status != TRIT_OK) {
        call->failure = put->failure;
        call_end(call);
        return;
    }
    state->reply(call);
}

/* Two requests with the same question must get the same report. */
static struct store_question question(const struct pipeline *pipeline, bool verifies)
{
    struct store_question asked = {
        .method = verifies ? STORE_METHOD_VERIFY : STORE_METHOD_PROJECT,
        .mode = verifies && pipeline->task.op == TASK_TERNARIZE ? TRIT_VERIFY_LATENT
                                                                : TRIT_VERIFY_TERNARY,
        .tolerance = pipeline->task.op == TASK_VERIFY ? pipeline->task.tolerance : 0,
        .partial = pipeline->task.plan.spec.partial,
        .has_latents = pipeline->fingerprint,
    };

    if (pipeline->fingerprint)
        fingerprint_value(pipeline->fingerprint, asked.latents);
    return asked;
}

void tensor_call_report(struct call *call, void (*reply)(struct call *call))
{
    struct tensor_call *state = call->method_state;
    struct pipeline *pipeline = &state->pipeline;
    struct trit_report *report = tensor_call_report_of(call);

    report_of_merge(report, &pipeline->merge, &pipeline->task);
    report->time_unix_ns = clock_unix_ns();
    snprintf(report->version, sizeof(report->version), "%s",
             services_of(call)->config.version);
    if (!report->is_ternary)
        metric_add(call->config->metrics, M_NOT_TERNARY, 1);
    if (report->non_finite)
        metric_add(call->config->metrics, M_NON_FINITE, 1);
    if (pipeline->report_write.state == REPORT_WRITE_NONE) {
        reply(call);
        return;
    }
    state->reply = reply;
    pipeline->report_write.put.question = question(pipeline, state->ops->verifies);
    if (pipeline->report_write.shard)
        shard_report_ready(pipeline->report_write.shard, &pipeline->task,
                           &pipeline->merge, &pipeline->report_write.put.question);
    report_write_commit(&pipeline->report_write, written);
}
