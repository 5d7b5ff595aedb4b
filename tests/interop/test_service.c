/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.testing.TestService of gRPC's interoperability tests, on the gRPC core of the
 * daemon. Payload bodies are counted as they arrive, and not kept. */
#include "tests/interop/test_service.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/call.h"
#include "grpc/testing/messages.pb.h"

enum { PART_PAYLOAD = 1, BLOB_BODY = 1, RESPONSE_BYTES_MAX = 4 << 20 };

static const struct scan_field payload_fields[] = {{2, BLOB_BODY, NULL}, {0}};
static const struct scan_field request_fields[] = {{3, PART_PAYLOAD, payload_fields},
                                                   {0}};
static const struct scan_field input_fields[] = {{1, PART_PAYLOAD, payload_fields}, {0}};
static const struct scan_field no_fields[] = {{0}};

struct test_call {
    uint64_t body_bytes; /* of all messages */
    grpc_testing_SimpleRequest simple;
    grpc_testing_StreamingOutputCallRequest output;
    size_t sent; /* of output.response_parameters */
};

/* ---- what all methods do ------------------------------------------------------------- */

static void echo_metadata(struct call *call)
{
    static const char initial[] = "x-grpc-test-echo-initial";
    static const char trailing[] = "x-grpc-test-echo-trailing-bin";
    const char *text = metadata_text(&call->headers, initial);
    uint8_t bytes[256];
    ptrdiff_t count = metadata_binary(&call->headers, trailing, bytes, sizeof(bytes));

    if (text)
        call_add_metadata(call, METADATA_HEADERS, initial, text, strlen(text));
    if (count >= 0)
        call_add_metadata(call, METADATA_TRAILERS, trailing, bytes, (size_t)count);
}

static int body_begin(struct call *call, uint32_t blob, uint64_t length)
{
    (void)call, (void)blob, (void)length;
    return 0;
}

static int body_bytes(struct call *call, uint32_t blob, const uint8_t *bytes,
                      size_t count)
{
    struct test_call *state = call->method_state;

    (void)blob, (void)bytes;
    state->body_bytes += count;
    return 0;
}

static int body_end(struct call *call, uint32_t blob)
{
    (void)call, (void)blob;
    return 0;
}

static int decode(struct call *call, const pb_msgdesc_t *fields, void *message)
{
    const struct scan_part *root = &call->scan.parts[0];
    pb_istream_t stream = pb_istream_from_buffer(root->bytes, root->count);

    return pb_decode(&stream, fields, message)
               ? 0
               : fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL, "the request: %s",
                      PB_GET_ERROR(&stream));
}

static int check_compressed(struct call *call, bool is_expected, bool expected)
{
    if (!is_expected || expected == call->decoded.compressed)
        return 0;
    return fail(&call->failure, TRIT_INVALID_ARGUMENT, NULL,
                "the message is %scompressed, which was not expected",
                call->decoded.compressed ? "" : "not ");
}

static int echo_status(struct call *call, const grpc_testing_EchoStatus *status)
{
    return status->code ? fail(&call->failure, (enum trit_status)status->code, NULL, "%s",
                               status->message)
                        : 0;
}

/* A response with a payload of zeros, which is field 1 of each response type. */
static int write_payload(struct call *call, int32_t size)
{
    uint8_t *message, head[32];
    pb_ostream_t stream = pb_ostream_from_buffer(head, sizeof(head));
    size_t body = (size_t)size, inner = 0;
    int result;

    if (size < 0 || size > RESPONSE_BYTES_MAX)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "size", "%d", (int)size);
    for (size_t left = body; body && (left || inner == 0); left >>= 7)
        inner++; /* bytes of the length */
    pb_encode_tag(&stream, PB_WT_STRING, 1);
    pb_encode_varint(&stream, body ? 1 + inner + body : 0);
    if (body) {
        pb_encode_tag(&stream, PB_WT_STRING, 2);
        pb_encode_varint(&stream, body);
    }
    message = calloc(1, stream.bytes_written + body);
    if (!message)
        return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory");
    memcpy(message, head, stream.bytes_written);
    result = call_write_message(call, message, stream.bytes_written + body);
    free(message);
    return result;
}

static int end(struct call *call)
{
    call_end(call);
    return 0;
}

/* ---- EmptyCall, UnaryCall ------------------------------------------------------------- */

static int empty_request(struct call *call)
{
    return call_write_message(call, NULL, 0) < 0 ? -1 : end(call);
}

static int unary_message(struct call *call)
{
    struct test_call *state = call->method_state;
    grpc_testing_SimpleRequest *request = &state->simple;

    if (decode(call, grpc_testing_SimpleRequest_fields, request) < 0)
        return -1;
    return check_compressed(call, request->has_expect_compressed,
                            request->expect_compressed.value);
}

static int unary_request(struct call *call)
{
    const struct test_call *state = call->method_state;
    const grpc_testing_SimpleRequest *request = &state->simple;

    if (echo_status(call, &request->response_status) < 0)
        return -1;
    call->compress =
        request->has_response_compressed && request->response_compressed.value
            ? COMPRESS_ALWAYS
            : COMPRESS_NEVER;
    return write_payload(call, request->response_size) < 0 ? -1 : end(call);
}

/* ---- StreamingInputCall --------------------------------------------------------------- */

static int input_message(struct call *call)
{
    grpc_testing_StreamingInputCallRequest request;

    if (decode(call, grpc_testing_StreamingInputCallRequest_fields, &request) < 0)
        return -1;
    return check_compressed(call, request.has_expect_compressed,
                            request.expect_compressed.value);
}

static int input_request(struct call *call)
{
    const struct test_call *state = call->method_state;
    uint8_t reply[16];
    pb_ostream_t stream = pb_ostream_from_buffer(reply, sizeof(reply));

    pb_encode_tag(&stream, PB_WT_VARINT, 1);
    pb_encode_varint(&stream, state->body_bytes);
    return call_write_message(call, reply, stream.bytes_written) < 0 ? -1 : end(call);
}

/* ---- StreamingOutputCall, FullDuplexCall ------------------------------------------------ */

static int output_message(struct call *call)
{
    struct test_call *state = call->method_state;

    return decode(call, grpc_testing_StreamingOutputCallRequest_fields, &state->output);
}

static int write_one(struct call *call, const grpc_testing_ResponseParameters *response)
{
    call->compress = response->has_compressed && response->compressed.value
                         ? COMPRESS_ALWAYS
                         : COMPRESS_NEVER;
    return write_payload(call, response->size);
}

static int output_request(struct call *call)
{
    struct test_call *state = call->method_state;
    const grpc_testing_StreamingOutputCallRequest *output = &state->output;

    while (state->sent < output->response_parameters_count) {
        if (!call_writable(call))
            return 0; /* called again as `writable` */
        if (write_one(call, &output->response_parameters[state->sent++]) < 0)
            return -1;
    }
    return echo_status(call, &output->response_status) < 0 ? -1 : end(call);
}

/* Answers each message before the next one is read. */
static int duplex_message(struct call *call)
{
    struct test_call *state = call->method_state;
    const grpc_testing_StreamingOutputCallRequest *output = &state->output;

    if (output_message(call) < 0)
        return -1;
    for (size_t i = 0; i < output->response_parameters_count; i++)
        if (write_one(call, &output->response_parameters[i]) < 0)
            return -1;
    return echo_status(call, &output->response_status);
}

#define BODY .blob_begin = body_begin, .blob_bytes = body_bytes, .blob_end = body_end
#define METHOD(name)                                                                     \
    .path = "/grpc.testing.TestService/" name, .state_bytes = sizeof(struct test_call),  \
    .begin = echo_metadata

static const struct method empty_call = {METHOD("EmptyCall"), .scan = no_fields,
                                         .request = empty_request};
static const struct method unary_call = {METHOD("UnaryCall"), .scan = request_fields,
                                         BODY, .message = unary_message,
                                         .request = unary_request};
static const struct method input_call = {
    METHOD("StreamingInputCall"), .streaming = true,       .scan = input_fields, BODY,
    .message = input_message,     .request = input_request};
static const struct method output_call = {
    METHOD("StreamingOutputCall"), .scan = request_fields,    BODY,
    .message = output_message,     .request = output_request, .writable = output_request};
static const struct method duplex_call = {METHOD("FullDuplexCall"),  .streaming = true,
                                          .scan = request_fields,    BODY,
                                          .message = duplex_message, .request = end};

const struct method *const test_service_methods[TEST_SERVICE_METHODS] = {
    &empty_call, &unary_call, &input_call, &output_call, &duplex_call};
