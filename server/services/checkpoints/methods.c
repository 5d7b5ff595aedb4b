/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints.Jobs and Checkpoints.Cancel. */
#include "services/methods.h"

#include "base/account.h"
#include "services/checkpoints/describe.h"
#include "services/shared.h"

/* ---- Jobs -------------------------------------------------------------------------------- */

static size_t encode_one(struct checkpoint_job *job, uint8_t *out, size_t capacity)
{
    struct job_description description;

    job_describe(job, &description);
    return encode_job(&description.job, out, capacity);
}

/* The newest first. */
static int list_jobs(struct call *call)
{
    struct jobs *jobs = services_of(call)->jobs;
    size_t used = 0, capacity = 0;
    uint8_t *reply = NULL;
    int result;

    if (jobs_check(jobs, &call->failure) < 0)
        return -1;
    jobs_forget_old(jobs);
    /* Most jobs take a small part of JOB_BYTES_MAX, so no more than that is held ahead. */
    for (const struct list *node = jobs->list.prev; node != &jobs->list;
         node = node->prev) {
        uint8_t *grown = account_grow(call->account, reply, &capacity,
                                      used + JOB_BYTES_MAX, sizeof(*reply));

        if (!grown) {
            account_free(call->account, reply);
            return memory_spent(call);
        }
        reply = grown;
        used += encode_one(LIST_OWNER(node, struct checkpoint_job, link), reply + used,
                           capacity - used);
    }
    result = call_write_message(call, reply ? (const void *)reply : "", used);
    account_free(call->account, reply);
    if (result == 0)
        call_end(call);
    return result;
}

static int jobs_request(struct call *call)
{
    struct jobs *jobs = services_of(call)->jobs;
    int result;

    jobs_lock(jobs);
    result = list_jobs(call);
    jobs_unlock(jobs);
    return result;
}

const struct method method_checkpoints_jobs = {
    .path = "/trit.v1.Checkpoints/Jobs",
    .scan = scan_plain,
    .request = jobs_request,
};

/* ---- Cancel ------------------------------------------------------------------------------ */

struct cancellation {
    char id[JOB_ID_BYTES_MAX + 1];
};

static int cancel_message(struct call *call)
{
    struct cancellation *cancellation = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_job_id(&call->scan.parts[PART_ROOT], cancellation->id, error) < 0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    return 0;
}

static int cancel_request(struct call *call)
{
    const struct cancellation *cancellation = call->method_state;
    struct jobs *jobs = services_of(call)->jobs;
    struct checkpoint_job *job;

    if (jobs_check(jobs, &call->failure) < 0)
        return -1;
    jobs_lock(jobs);
    job = jobs_find(jobs, cancellation->id);
    if (job)
        jobs_cancel(jobs, job);
    jobs_unlock(jobs);
    if (!job)
        return fail_field(&call->failure, TRIT_NOT_FOUND, "job",
                          "no job is called \"%s\"", cancellation->id);
    if (call_write_message(call, "", 0) < 0)
        return -1;
    call_end(call);
    return 0;
}

const struct method method_checkpoints_cancel = {
    .path = "/trit.v1.Checkpoints/Cancel",
    .scan = scan_plain,
    .state_bytes = sizeof(struct cancellation),
    .message = cancel_message,
    .request = cancel_request,
};
