/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/project_stream.h"
#include "client/lib/unary.h"

/* 1: the daemon does not know a buffer. */
static int pack_attempt(void *call, struct failure *failure)
{
    struct projecting *project = call;
    const struct trit_tensor *tensor = project->tensor;
    const struct packing_request *pack = project->pack;
    struct wire_tensor wire = pack->wire.tensor;
    struct sink data = {&project->data, 0, project->data.size, 0},
                scales = {&project->scales, 0, project->scales.size, 0};
    struct unary unary = {.decode = projected_decode, .result = project};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct buffer_use use;
    uint64_t sent;
    size_t at, count;
    int rc;

    buffer_use_init(&use, &project->call.client->buffers);
    if (buffer_use_request(&use, "tensor", tensor->data, tensor->bytes, &wire.region,
                           failure) < 0)
        return -1;
    sent = wire.region.present ? 0 : tensor->bytes;
    count =
        encode_pack(&pack->wire, pack->scale_bytes, &wire, sent, head, sizeof(head), &at);
    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(&unary.request, head, at);
    outgoing_payload(&unary.request, pack->scales, pack->scale_bytes);
    outgoing_head(&unary.request, head + at, count - at);
    outgoing_payload(&unary.request, tensor->data, sent);
    unary.request.shared = use.bytes;
    reply_init(&unary.reply, scan_projected, project->call.client->message_bytes_max,
               &data, &scales);
    rc = unary_run(&unary, "/trit.v1.Ternary/Pack", &project->call, failure);
    return buffer_use_end(&use, unary.settled, failure) ? 1 : rc;
}

static int pack_prepare(struct projecting *project, struct packing_request *pack,
                        const struct trit_pack_options *o, struct failure *failure)
{
    const struct scales_given scales = {o->scales, o->scale_bytes, o->scales_dtype};

    pack->scales = o->scales;
    pack->scale_bytes = o->scale_bytes;
    pack->wire = (struct wire_pack){
        .group_size = o->group_size,
        .source_encoding = (uint32_t)o->source_encoding,
        .scales_dtype = (uint32_t)o->scales_dtype,
        .encoding = (uint32_t)o->encoding,
        .report = (uint32_t)o->report,
        .allow_rounded_scales = o->allow_rounded_scales,
        .durability = (uint32_t)o->durability,
        .tensor = tensor_wire(project->tensor),
    };
    project->request = (struct wire_project){
        .encoding = (uint32_t)o->encoding,
        .report = (uint32_t)o->report,
        .tensor = pack->wire.tensor,
    };
    project->pack = pack;
    if (o->encoding == TRIT_ENCODING_DENSE)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.encoding",
                          "dense; unpack the tensor instead");
    if (encoded_check("tensor", project->tensor, o->source_encoding, o->group_size,
                      &scales, &project->extent, failure) < 0 ||
        layer_wire("options.layer", o->layer, &pack->wire.layer, failure) < 0)
        return -1;
    return projection_outputs(project, o->group_size, o->out, o->out_bytes, o->write,
                              o->write_arg, failure);
}

static int pack_run(struct projecting *project, struct failure *failure)
{
    return !projecting_is_called_back(project) &&
                   project->call.bytes_total < project->call.client->stream_bytes_min
               ? buffer_attempts(pack_attempt, project, failure)
               : project_stream(project, 1, failure);
}

enum trit_status trit_pack(struct trit_client *client, const struct trit_tensor *tensor,
                           const struct trit_pack_options *options,
                           struct trit_projection *projection, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_report *report = NULL;
    struct trit_pack_options o;
    struct trit_tensor taken;
    struct packing_request pack;
    struct projecting project = {.tensor = &taken};

    if (client_check(client, error, &failure) == 0 &&
        tensor_take_source("tensor", tensor, &taken, &failure) == 0 &&
        sized_take_optional(&sized_pack_options, "options", options, &o, &failure) == 0 &&
        projection_check(projection, &report, &failure) == 0 &&
        call_init(&project.call, client, "options.call", o.call,
                  taken.bytes + o.scale_bytes, &failure) == 0 &&
        pack_prepare(&project, &pack, &o, &failure) == 0 &&
        pack_run(&project, &failure) == 0)
        projection_give(&project, report, projection);
    output_fini(&project.data);
    output_fini(&project.scales);
    return client_answer(&failure, error);
}
