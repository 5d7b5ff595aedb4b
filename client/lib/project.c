/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/project_stream.h"

#include <inttypes.h>
#include <string.h>

#include "client/lib/unary.h"
#include "kernels/kernels.h"

/* ---- unary ---------------------------------------------------------------------- */

/* The dtype of a reply's elements, by the encoding. */
static enum trit_dtype encoded_dtype(enum trit_encoding encoding, enum trit_dtype dtype)
{
    switch (encoding) {
    case TRIT_ENCODING_DENSE:
        return dtype;
    case TRIT_ENCODING_INT8:
        return TRIT_I8;
    case TRIT_ENCODING_PQ2_0:
    case TRIT_ENCODING_Q2_0:
    case TRIT_ENCODING_PTQ1_0:
    case TRIT_ENCODING_TQ1_0:
    case TRIT_ENCODING_TQ2_0:
    case TRIT_ENCODING_MLX_2BIT:
    case TRIT_ENCODING_I2_S:
    case TRIT_ENCODING_HF_BITNET:
        break;
    }
    return TRIT_U8;
}

static bool is_same_region(const struct wire_region *a, const struct wire_region *b)
{
    return a->present == b->present &&
           (!a->present || (a->is_id && a->offset == b->offset && a->bytes == b->bytes &&
                            memcmp(a->buffer, b->buffer, sizeof(a->buffer)) == 0));
}

int projected_decode(void *result, const struct scan *reply, struct failure *failure)
{
    struct projecting *project = result;
    struct wire_projected_head head;
    char why[CODEC_ERROR_BYTES];

    if (decode_projected(&reply->parts[PART_ROOT], &head, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (head.encoding != project->request.encoding)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply is in encoding %u, not %u",
                    head.encoding, project->request.encoding);
    if (!head.has_report && project->request.report != TRIT_REPORT_NONE)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply lacks its report");
    if (!is_same_region(&head.region, &project->reply))
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the reply names memory that the request did not give");
    if (head.has_report)
        project->report = head.report;
    return 0;
}

/* Finds tensor and result in the client's buffers. A result over the tensor comes through the
 * socket: the daemon writes it while it reads, so a failure would have destroyed the tensor. */
static int find_regions(struct projecting *project, struct wire_project *request,
                        struct buffer_use *use, struct failure *failure)
{
    const struct trit_tensor *tensor = project->tensor;
    const struct output *data = &project->data;

    project->reply = (struct wire_region){.present = false};
    if (buffer_use_request(use, "tensor", tensor->data, tensor->bytes,
                           &request->tensor.region, failure) < 0)
        return -1;
    if (data->bytes && !output_overlaps(data, tensor->data, tensor->bytes) &&
        buffer_use_reply(use, "options.out", data->bytes, data->size, &project->reply,
                         failure) < 0)
        return -1;
    request->reply = project->reply;
    return 0;
}

/* 1: the daemon does not know a buffer. */
static int project_attempt(void *call, struct failure *failure)
{
    struct projecting *project = call;
    const struct trit_tensor *tensor = project->tensor;
    struct wire_project request = project->request;
    struct sink data = {&project->data, 0, project->data.size, 0},
                scales = {&project->scales, 0, project->scales.size, 0};
    struct unary unary = {.decode = projected_decode, .result = project};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];
    struct buffer_use use;
    uint64_t sent;
    size_t count;
    int rc;

    buffer_use_init(&use, &project->call.client->buffers);
    if (find_regions(project, &request, &use, failure) < 0)
        return -1;
    sent = request.tensor.region.present ? 0 : tensor->bytes;
    count = encode_project(&request, &request.tensor, sent, head, sizeof(head));
    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(&unary.request, head, count);
    outgoing_payload(&unary.request, tensor->data, sent);
    unary.request.shared = use.bytes;
    reply_init(&unary.reply, scan_projected, project->call.client->message_bytes_max,
               project->reply.present ? NULL : &data, &scales);
    rc = unary_run(&unary, "/trit.v1.Ternary/Project", &project->call, failure);
    return buffer_use_end(&use, unary.settled, failure) ? 1 : rc;
}

/* ---- unary or streamed ------------------------------------------------------------ */

/* How many connections share the work (project_stream). */
static uint32_t parts_of(const struct projecting *project)
{
    const struct trit_client *client = project->call.client;
    uint64_t parts = project->tensor->bytes / client->stream_bytes_min;

    if (project->request.report != TRIT_REPORT_NONE || project->request.layer.present ||
        projecting_is_called_back(project) ||
        output_overlaps(&project->data, project->tensor->data, project->tensor->bytes))
        return 1; /* a part of a result over the tensor would replace another part's rows */
    if (parts > client->connections)
        parts = client->connections;
    if (parts > project->extent.rows)
        parts = project->extent.rows;
    return parts > 1 ? (uint32_t)parts : 1;
}

bool projecting_is_called_back(const struct projecting *project)
{
    return !project->tensor->data || project->data.write;
}

/* Bytes of tensor and result that pass through the socket of a unary call. */
static uint64_t unary_bytes(struct projecting *project)
{
    struct buffers *buffers = &project->call.client->buffers;
    const struct trit_tensor *tensor = project->tensor;
    const struct output *data = &project->data;
    uint64_t sent = tensor->bytes, received = data->size;

    if (sent < project->call.client->stream_bytes_min)
        return sent; /* one message in any case */
    if (buffers_hold(buffers, tensor->data, tensor->bytes))
        sent = 0;
    if (buffers_hold(buffers, data->bytes, data->size))
        received = 0;
    return sent > received ? sent : received;
}

/* With one scale a stream sends the tensor twice, so it is for tensors that are too large
 * for a message. */
static int project_run(struct projecting *project, struct failure *failure)
{
    uint32_t parts = parts_of(project);
    int rc;

    if (!projecting_is_called_back(project) &&
        (unary_bytes(project) < project->call.client->stream_bytes_min ||
         !encoding_streams((enum trit_encoding)project->request.encoding))) {
        rc = buffer_attempts(project_attempt, project, failure);
        if (rc == 0 || !message_too_large(failure))
            return rc;
        *failure = (struct failure){.status = TRIT_OK};
        parts = 1;
    }
    rc = project_stream(project, parts, failure);
    if (rc != 0 && parts > 1 && failure->status == TRIT_INVALID_ARGUMENT) {
        /* The message about a part counts elements from the part's first row. Send
         * the whole tensor, which gets a message with the right index. */
        *failure = (struct failure){.status = TRIT_OK};
        rc = project_stream(project, 1, failure);
    }
    return rc;
}

/* A result may replace its tensor, but not the scales of a packed one. */
static int outputs_check(const struct projecting *project, struct failure *failure)
{
    const struct trit_tensor *tensor = project->tensor;
    const struct packing_request *pack = project->pack;
    const struct request_memory data = {"tensor.data", tensor->data, tensor->bytes, true},
                                scales = {"options.scales", pack ? pack->scales : NULL,
                                          pack ? pack->scale_bytes : 0, false};

    return output_apart("options.out", &project->data, &data, failure) < 0
               ? -1
               : output_apart("options.out", &project->data, &scales, failure);
}

int projection_outputs(struct projecting *project, uint32_t group_size, void *out,
                       uint64_t out_bytes, trit_write write, void *write_arg,
                       struct failure *failure)
{
    struct encoded_size size;

    if (out && write)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "options.write",
                          "set together with options.out");
    if (encoded_size((enum trit_encoding)project->request.encoding,
                     project->tensor->dtype, &project->extent, group_size, &size,
                     failure) < 0)
        return -1;
    if (out && out_bytes < size.data)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "out",
                          "has %" PRIu64 " bytes, but the result needs %" PRIu64,
                          out_bytes, size.data);
    if (write)
        output_init_write(&project->data, "data", size.data, write, write_arg);
    else
        output_init(&project->data, "data", size.data, out);
    output_init(&project->scales, "scales", size.scales, NULL);
    return outputs_check(project, failure);
}

static int project_prepare(struct projecting *project,
                           const struct trit_project_options *o, struct failure *failure)
{
    project->request = (struct wire_project){
        .group_size = o->group_size,
        .partial_group = (uint32_t)o->partial_group,
        .encoding = (uint32_t)o->encoding,
        .report = (uint32_t)o->report,
        .allow_lost_scales = o->allow_lost_scales,
        .durability = (uint32_t)o->durability,
        .tensor = tensor_wire(project->tensor),
    };
    if (tensor_check("tensor", project->tensor, &project->extent, failure) < 0 ||
        layer_wire("options.layer", o->layer, &project->request.layer, failure) < 0)
        return -1;
    return projection_outputs(project, o->group_size, o->out, o->out_bytes, o->write,
                              o->write_arg, failure);
}

void projection_give(struct projecting *project, struct trit_report *report,
                     struct trit_projection *projection)
{
    const enum trit_encoding encoding = (enum trit_encoding)project->request.encoding;
    struct trit_projection out = {
        .report = report,
        .encoding = encoding,
        .dtype = encoded_dtype(encoding, project->tensor->dtype),
        .data_bytes = project->data.size,
        .scale_bytes = project->scales.size,
        .data_owned = project->data.owned,
    };

    out.data = output_give(&project->data);
    out.scales = output_give(&project->scales);
    if (report)
        sized_give(&sized_report, report, &project->report);
    sized_give(&sized_projection, projection, &out);
}

int projection_check(const struct trit_projection *projection,
                     struct trit_report **report, struct failure *failure)
{
    struct trit_projection in;

    if (sized_read(&sized_projection, "projection", projection, &in, failure) < 0)
        return -1;
    *report = in.report;
    return in.report ? sized_check(&sized_report, "projection.report", in.report, failure)
                     : 0;
}

enum trit_status trit_project(struct trit_client *client,
                              const struct trit_tensor *tensor,
                              const struct trit_project_options *options,
                              struct trit_projection *projection,
                              struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_report *report = NULL;
    struct trit_project_options o;
    struct trit_tensor taken;
    struct projecting project = {.tensor = &taken};

    if (client_check(client, error, &failure) == 0 &&
        tensor_take_source("tensor", tensor, &taken, &failure) == 0 &&
        sized_take_optional(&sized_project_options, "options", options, &o, &failure) ==
            0 &&
        projection_check(projection, &report, &failure) == 0 &&
        call_init(&project.call, client, "options.call", o.call, taken.bytes, &failure) ==
            0 &&
        project_prepare(&project, &o, &failure) == 0 &&
        project_run(&project, &failure) == 0)
        projection_give(&project, report, projection);
    output_fini(&project.data);
    output_fini(&project.scales);
    return client_answer(&failure, error);
}

void trit_projection_free(struct trit_projection *projection)
{
    struct trit_projection in, empty = TRIT_PROJECTION_INIT;

    if (sized_read(&sized_projection, "projection", projection, &in, NULL) < 0)
        return;
    if (in.data_owned)
        trit_free(in.data);
    trit_free(in.scales);
    empty.report = in.report;
    sized_give(&sized_projection, projection, &empty);
}
