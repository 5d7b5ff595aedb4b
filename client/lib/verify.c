/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client/lib/chunks.h"
#include "client/lib/tensor.h"
#include "client/lib/unary.h"

struct verifying {
    struct call call;
    const struct trit_tensor *tensor;
    const struct trit_tensor *reference; /* or NULL */
    const struct trit_verify_options *options;
    struct trit_tensor tensor_taken, reference_taken;
    struct wire_verify request;
    struct trit_report report;
    uint8_t head[REQUEST_HEAD_BYTES_MAX];

    /* Only of the stream. */
    struct slots slots;
    struct chunks chunks, reference_chunks;
    bool started;
};

static int verified_decode(void *result, const struct scan *reply,
                           struct failure *failure)
{
    struct verifying *verify = result;
    char why[CODEC_ERROR_BYTES];

    if (decode_verified(&reply->parts[PART_ROOT], &verify->report, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    return 0;
}

/* ---- unary ------------------------------------------------------------------------ */

/* 1: the daemon does not know a buffer. */
static int verify_attempt(void *call, struct failure *failure)
{
    struct verifying *verify = call;
    const struct trit_tensor *tensor = verify->tensor, *reference = verify->reference;
    struct wire_tensor wire = tensor_wire(tensor),
                       wire_reference = reference ? tensor_wire(reference)
                                                  : (struct wire_tensor){.rank = 0};
    struct unary unary = {.decode = verified_decode, .result = verify};
    const uint8_t *head = verify->head;
    uint64_t tensor_sent, reference_sent = 0;
    struct buffer_use use;
    size_t cut[2], count;
    int rc;

    buffer_use_init(&use, &verify->call.client->buffers);
    if (buffer_use_request(&use, "tensor", tensor->data, tensor->bytes, &wire.region,
                           failure) < 0 ||
        (reference &&
         buffer_use_request(&use, "reference", reference->data, reference->bytes,
                            &wire_reference.region, failure) < 0))
        return -1;
    tensor_sent = wire.region.present ? 0 : tensor->bytes;
    if (reference && !wire_reference.region.present)
        reference_sent = reference->bytes;
    count = encode_verify(&verify->request, verify->options->scale_bytes,
                          reference ? &wire_reference : NULL, reference_sent, &wire,
                          tensor_sent, verify->head, sizeof(verify->head), cut);
    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(&unary.request, head, cut[0]);
    outgoing_payload(&unary.request, verify->options->scales,
                     verify->options->scale_bytes);
    outgoing_head(&unary.request, head + cut[0], cut[1] - cut[0]);
    if (reference_sent > 0)
        outgoing_payload(&unary.request, reference->data, reference_sent);
    outgoing_head(&unary.request, head + cut[1], count - cut[1]);
    outgoing_payload(&unary.request, tensor->data, tensor_sent);
    unary.request.shared = use.bytes;
    reply_init(&unary.reply, scan_plain, verify->call.client->message_bytes_max, NULL,
               NULL);
    rc = unary_run(&unary, "/trit.v1.Ternary/Verify", &verify->call, failure);
    return buffer_use_end(&use, unary.settled, failure) ? 1 : rc;
}

/* ---- streamed: start, then chunks of both tensors in turn -------------------------- */

static int verify_start(struct verifying *verify, struct outgoing *message,
                        struct failure *failure)
{
    const struct trit_verify_options *o = verify->options;
    size_t at, count = encode_verify_start(&verify->request, o->scale_bytes, verify->head,
                                           sizeof(verify->head), &at);

    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the request's head is too large");
    outgoing_head(message, verify->head, at);
    outgoing_payload(message, o->scales, o->scale_bytes);
    outgoing_head(message, verify->head + at, count - at);
    verify->started = true;
    return 0;
}

/* With one scale the claim comes first; otherwise both come in proportion. */
static bool next_is_reference(const struct verifying *verify)
{
    return encoding_streams(verify->options->encoding)
               ? chunks_behind(&verify->reference_chunks, &verify->chunks)
               : chunks_done(&verify->chunks);
}

static int verify_next(void *owner, struct outgoing *message, struct failure *failure)
{
    struct verifying *verify = owner;
    int result;

    if (!verify->started)
        return verify_start(verify, message, failure);
    result = chunks_next(next_is_reference(verify) ? &verify->reference_chunks
                                                   : &verify->chunks,
                         message, failure);
    message->last =
        chunks_done(&verify->chunks) && chunks_done(&verify->reference_chunks);
    return result;
}

/* Counts of chunks come before the report. */
static int verify_interim(void *owner, const struct scan *message,
                          struct failure *failure)
{
    struct verifying *verify = owner;
    const uint64_t before = verify->slots.done;

    if (slots_reply(&verify->slots, &message->parts[PART_ROOT], failure) < 0)
        return -1;
    return verify->slots.done > before;
}

static void verify_rewind(void *owner)
{
    struct verifying *verify = owner;

    verify->started = false;
    verify->chunks.sent = verify->reference_chunks.sent = 0;
    slots_rewind(&verify->slots);
}

static int verify_stream(struct verifying *verify, struct failure *failure)
{
    struct unary unary = {.next = verify_next,
                          .rewind = verify_rewind,
                          .source = verify,
                          .interim = verify_interim,
                          .decode = verified_decode,
                          .result = verify};
    struct shared *shared = &verify->call.client->shared;
    bool again;
    int rc;

    slots_init(&verify->slots, shared, verify->call.deadline_ns);
    verify->started = false;
    chunks_init(&verify->chunks, verify->tensor, 0, verify->tensor->bytes, false,
                &verify->slots);
    if (verify->reference)
        chunks_init(&verify->reference_chunks, verify->reference, 0,
                    verify->reference->bytes, true, &verify->slots);
    if (verify->reference && !encoding_streams(verify->options->encoding))
        chunks_repeat(&verify->reference_chunks); /* the first time is for the scale */
    reply_init(&unary.reply, scan_plain, verify->call.client->message_bytes_max, NULL,
               NULL);
    rc = unary_run(&unary, "/trit.v1.Ternary/VerifyStream", &verify->call, failure);
    chunks_fini(&verify->chunks);
    chunks_fini(&verify->reference_chunks);
    again = rc < 0 && slots_unknown(&verify->slots, failure);
    slots_fini(&verify->slots, rc == 0);
    if (!again)
        return rc;
    shared_forget(shared);
    *failure = (struct failure){.status = TRIT_OK};
    return verify_stream(verify, failure);
}

/* ---- unary or streamed --------------------------------------------------------- */

static int reference_check(const struct trit_tensor *tensor,
                           const struct trit_tensor *reference, struct failure *failure)
{
    struct extent extent;

    if (!reference)
        return 0;
    if (tensor_check("reference", reference, &extent, failure) < 0)
        return -1;
    if (reference->rank != tensor->rank ||
        memcmp(reference->shape, tensor->shape,
               tensor->rank * sizeof(tensor->shape[0])) != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "reference.shape",
                          "differs from tensor.shape");
    return 0;
}

static int verify_prepare(struct verifying *verify, struct failure *failure)
{
    const struct trit_verify_options *o = verify->options;
    struct extent extent;

    verify->request = (struct wire_verify){
        .mode = (uint32_t)o->mode,
        .group_size = o->group_size,
        .partial_group = (uint32_t)o->partial_group,
        .encoding = (uint32_t)o->encoding,
        .scales_dtype = (uint32_t)o->scales_dtype,
        .durability = (uint32_t)o->durability,
        .has_tolerance = o->has_tolerance,
        .tolerance = o->tolerance,
        .tensor = tensor_wire(verify->tensor),
        .reference_dtype = verify->reference ? (uint32_t)verify->reference->dtype : 0,
    };
    const struct scales_given scales = {o->scales, o->scale_bytes, o->scales_dtype};

    if (encoded_check("tensor", verify->tensor, o->encoding, o->group_size, &scales,
                      &extent, failure) < 0 ||
        reference_check(verify->tensor, verify->reference, failure) < 0)
        return -1;
    return layer_wire("options.layer", o->layer, &verify->request.layer, failure);
}

/* Reads both tensors and begins the call. */
static int verify_take(struct verifying *verify, struct trit_client *client,
                       const struct trit_tensor *tensor, struct failure *failure)
{
    const struct trit_verify_options *o = verify->options;
    uint64_t total;

    if (tensor_take_source("tensor", tensor, &verify->tensor_taken, failure) < 0 ||
        (o->reference && tensor_take_source("reference", o->reference,
                                            &verify->reference_taken, failure) < 0))
        return -1;
    verify->tensor = &verify->tensor_taken;
    verify->reference = o->reference ? &verify->reference_taken : NULL;
    total = verify->tensor->bytes + o->scale_bytes +
            (verify->reference ? verify->reference->bytes : 0);
    return call_init(&verify->call, client, "options.call", o->call, total, failure);
}

/* Bytes that pass through the socket of a unary call. */
static uint64_t unary_bytes(const struct verifying *verify)
{
    struct buffers *buffers = &verify->call.client->buffers;
    const struct trit_tensor *tensor = verify->tensor, *reference = verify->reference;
    uint64_t bytes = verify->call.bytes_total;

    if (bytes < verify->call.client->stream_bytes_min)
        return bytes; /* one message in any case */
    if (buffers_hold(buffers, tensor->data, tensor->bytes))
        bytes -= tensor->bytes;
    if (reference && buffers_hold(buffers, reference->data, reference->bytes))
        bytes -= reference->bytes;
    return bytes;
}

/* With one scale a stream sends the latents twice, so it is for tensors that are too large
 * for a message. */
static int verify_run(struct verifying *verify, struct failure *failure)
{
    const bool read =
        !verify->tensor->data || (verify->reference && !verify->reference->data);
    int rc;

    if (read || (unary_bytes(verify) >= verify->call.client->stream_bytes_min &&
                 encoding_streams(verify->options->encoding)))
        return verify_stream(verify, failure);
    rc = buffer_attempts(verify_attempt, verify, failure);
    if (rc == 0 || !message_too_large(failure))
        return rc;
    *failure = (struct failure){.status = TRIT_OK};
    return verify_stream(verify, failure);
}

enum trit_status trit_verify(struct trit_client *client, const struct trit_tensor *tensor,
                             const struct trit_verify_options *options,
                             struct trit_report *report, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_verify_options o;
    struct verifying verify = {.options = &o};

    if (client_check(client, error, &failure) == 0 &&
        sized_take_optional(&sized_verify_options, "options", options, &o, &failure) ==
            0 &&
        sized_check(&sized_report, "report", report, &failure) == 0 &&
        verify_take(&verify, client, tensor, &failure) == 0 &&
        verify_prepare(&verify, &failure) == 0 && verify_run(&verify, &failure) == 0)
        sized_give(&sized_report, report, &verify.report);
    return client_answer(&failure, error);
}
