/* SPDX-License-Identifier: Apache-2.0 */
/* Reports.Compare. A job on the pool reads both reports with their codes; as those of
 * Get and List it uses the services' reader. */
#include <inttypes.h>

#include "proto/codec/history.h"
#include "proto/utf8.h"
#include "services/admission.h"
#include "services/call_job.h"
#include "services/shared.h"
#include "store/store.h"

enum { COMPARE_UNITS = 1 /* what a comparison costs is learned as a whole */ };

struct compare {
    struct call_job job;
    struct failure failure;
    struct wire_reports_compare request;
    struct store_difference difference;
};

/* How errors call the members of a side. */
struct side_names {
    const char *run, *layer, *step, *shard;
};

static int check_side(struct call *call, const struct side_names *names,
                      const struct wire_layer_ref *side)
{
    const bool has_run = side->run[0] != '\0', has_layer = side->layer[0] != '\0';

    if (!has_run || !has_layer)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT,
                          has_run ? names->layer : names->run, "must not be empty");
    if (!utf8_is_name(side->run) || !utf8_is_name(side->layer))
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT,
                          utf8_is_name(side->run) ? names->layer : names->run,
                          "contains a control character");
    if (side->step > INT64_MAX)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, names->step,
                          "%" PRIu64 " is above 2^63-1", side->step);
    if (side->has_shard)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, names->shard,
                          "reports are of whole layers; leave the shard out");
    return 0;
}

static int message(struct call *call)
{
    static const struct side_names a = {"a.run", "a.layer", "a.step", "a.shard"};
    static const struct side_names b = {"b.run", "b.layer", "b.step", "b.shard"};
    struct compare *compare = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_reports_compare(&call->scan.parts[PART_ROOT], &compare->request, error) <
        0)
        return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "%s", error);
    if (check_side(call, &a, &compare->request.a) < 0 ||
        check_side(call, &b, &compare->request.b) < 0)
        return -1;
    return 0;
}

static struct store_get get_of(const struct wire_layer_ref *side)
{
    return (struct store_get){.run = side->run,
                              .layer = side->layer,
                              .attempt = side->attempt,
                              .replica = side->replica,
                              .has_step = true,
                              .step = side->step};
}

static void run(struct call_job *job)
{
    struct compare *compare = LIST_OWNER(job, struct compare, job);
    struct services *services = services_of(job->call);
    const struct store_get a = get_of(&compare->request.a);
    const struct store_get b = get_of(&compare->request.b);

    pthread_mutex_lock(&services_first(services)->reader_lock);
    store_compare(services->config.reader, &a, &b, &compare->difference,
                  &compare->failure);
    pthread_mutex_unlock(&services_first(services)->reader_lock);
}

static void answer(struct call_job *job)
{
    enum { REPLY_BYTES_MAX = 64 };
    const struct compare *compare = LIST_OWNER(job, struct compare, job);
    const struct store_difference *difference = &compare->difference;
    const struct wire_compared wire = {
        .equal = difference->equal,
        .elements = difference->elements,
        .codes_differing = difference->codes_differing,
        .scale_ratio_max = difference->scale_ratio_max,
        .has_first_group = difference->has_first_group,
        .first_group = difference->first_group,
    };
    struct call *call = job->call;
    uint8_t reply[REPLY_BYTES_MAX];

    if (call->state != CALL_WORKING)
        return;
    call->failure = compare->failure;
    if (call->failure.status == TRIT_OK)
        call_write_message(call, reply, encode_compared(&wire, reply, sizeof(reply)));
    call_end(call);
}

static int request(struct call *call)
{
    struct compare *compare = call->method_state;

    compare->job = (struct call_job){.call = call, .run = run, .done = answer};
    if (call_admit(call, COMPARE_UNITS) < 0)
        return -1;
    call_submit(&compare->job, services_of(call)->config.pool, COMPARE_UNITS);
    return 0;
}

const struct method method_reports_compare = {
    .path = "/trit.v1.Reports/Compare",
    .scan = scan_plain,
    .state_bytes = sizeof(struct compare),
    .message = message,
    .request = request,
};
