/* SPDX-License-Identifier: Apache-2.0 */
/* Large tensors: streams up and down at once. */
#include <stdlib.h>
#include <string.h>

#include <trit.h>

#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

/* ---- fixture ---------------------------------------------------------------------- */

enum { COLUMNS = 1024, REPLY_CHUNK_BYTES = 100000 };

struct fixture {
    uint64_t rows, bytes;
    uint64_t stream_bytes_min; /* 0 = the default */
    uint8_t *weights, *expected;
    struct fake_reply reply;
    struct fake_act acts[2];
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
    struct trit_report report;
    struct trit_projection projection;
};

static void prepare(struct fixture *f, uint64_t rows)
{
    uint64_t seed = 7;

    memset(f, 0, sizeof(*f));
    f->error = (struct trit_error)TRIT_ERROR_INIT;
    f->report = (struct trit_report)TRIT_REPORT_INIT;
    f->projection = (struct trit_projection)TRIT_PROJECTION_INIT;
    f->projection.report = &f->report;
    f->rows = rows;
    f->bytes = rows * COLUMNS * 4;
    f->weights = malloc(f->bytes);
    f->expected = malloc(f->bytes);
    CHECK(f->weights && f->expected);
    for (uint64_t i = 0; i < f->bytes; i++) {
        f->weights[i] = (uint8_t)check_random(&seed);
        f->expected[i] = (uint8_t)(f->weights[i] ^ 0x55);
    }
}

/* The answer of a daemon that did well. */
static void good_reply(struct fixture *f)
{
    const struct trit_report report = fake_report(f->bytes / 4);

    fake_reply_chunks(&f->reply, 0, f->expected, f->bytes, REPLY_CHUNK_BYTES);
    fake_reply_stream_report(&f->reply, &report);
}

static void start(struct fixture *f, size_t acts)
{
    struct trit_connect_options options = {.size = sizeof(options),
                                           .timeout_ms = 20000,
                                           .stream_bytes_min = f->stream_bytes_min};

    for (size_t i = 0; i < acts; i++) {
        f->acts[i].body = f->reply.bytes;
        f->acts[i].body_bytes = f->reply.count;
    }
    f->server = fake_start(f->acts, acts);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

static enum trit_status project(struct fixture *f,
                                const struct trit_project_options *options)
{
    const struct trit_tensor tensor = {.size = sizeof(tensor),
                                       .dtype = TRIT_F32,
                                       .rank = 2,
                                       .shape = {f->rows, COLUMNS},
                                       .data = f->weights,
                                       .bytes = f->bytes};

    return trit_project(f->client, &tensor, options, &f->projection, &f->error);
}

static void project_ok(struct fixture *f)
{
    if (project(f, NULL) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s: %s", trit_status_name(f->error.status),
                     f->error.message);
    CHECK_EQ(f->projection.data_bytes, f->bytes);
    CHECK_MEM(f->projection.data, f->expected, f->bytes);
    CHECK_EQ(f->report.elements, f->bytes / 4);
}

static void project_fails(struct fixture *f, enum trit_status status, const char *message)
{
    if (project(f, NULL) != status || !strstr(f->error.message, message))
        check_failed(__FILE__, __LINE__, "%s (%s) instead of %s (%s)",
                     trit_status_name(f->error.status), f->error.message,
                     trit_status_name(status), message);
    CHECK(!f->projection.data);
}

static void stop(struct fixture *f)
{
    trit_projection_free(&f->projection);
    trit_close(f->client);
    fake_stop(f->server);
    fake_reply_free(&f->reply);
    free(f->weights);
    free(f->expected);
}

/* ---- cases ------------------------------------------------------------------------- */

CASE(streams, "a tensor of 4 MiB or more is streamed, and its result is complete")
{
    struct fake_request request;
    struct fixture f;

    prepare(&f, 2048);
    good_reply(&f);
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1);
    project_ok(&f);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/ProjectStream");
    CHECK(request.complete && !request.was_reset);
    CHECK(request.body_bytes > f.bytes);
    CHECK(request.body_bytes < f.bytes + 1024); /* envelopes are small */
    stop(&f);
}

CASE(below_the_bound, "a smaller tensor is sent as a unary call")
{
    struct fake_request request;
    struct fixture f;

    prepare(&f, 1023); /* one row less than 4 MiB */
    f.acts[0].deed = FAKE_FAIL;
    f.acts[0].status = "5";
    start(&f, 1);
    CHECK_EQ(project(&f, NULL), TRIT_NOT_FOUND);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/Project");
    stop(&f);
}

/* The upload overflows every buffer on the way, so a client that did not read
 * meanwhile would wait for ever; so would one that read only after sending. */
CASE(duplex, "an upload continues although the daemon waits until its replies are read")
{
    struct fixture f;

    prepare(&f, 16384); /* 64 MiB up */
    memcpy(f.expected, f.weights, f.bytes);
    fake_reply_chunks(&f.reply, 0, f.expected, 3 << 20, REPLY_CHUNK_BYTES);
    f.acts[0].deed = FAKE_ANSWER_DUPLEX;
    start(&f, 1);
    project_fails(&f, TRIT_INTERNAL, "lacks its report"); /* and all was uploaded */
    stop(&f);
}

CASE(duplex_small, "replies that arrive during the upload are written to their place")
{
    struct fixture f;

    prepare(&f, 768); /* 3 MiB each way: within the client's window */
    f.stream_bytes_min = 1 << 20;
    good_reply(&f);
    f.acts[0].deed = FAKE_ANSWER_DUPLEX;
    f.acts[0].write_bytes_max = 1 << 16;
    start(&f, 1);
    project_ok(&f);
    stop(&f);
}

CASE(ends_early, "trailers during the upload end the call with their status")
{
    struct fake_request request;
    struct fixture f;

    prepare(&f, 16384);
    f.acts[0] = (struct fake_act){
        .deed = FAKE_ANSWER_EARLY, .status = "3", .message = "tensor: NaN at 17"};
    f.acts[1] = f.acts[0];
    f.acts[1].deed = FAKE_FAIL;
    start(&f, 2);
    project_fails(&f, TRIT_INVALID_ARGUMENT, "tensor: NaN at 17");
    CHECK(fake_request(f.server, 0, &request));
    CHECK(!request.complete);
    CHECK(request.body_bytes < f.bytes);
    stop(&f);
}

CASE(deadline_while_sending, "a deadline ends an upload that the daemon does not read")
{
    const struct trit_call_options call = {.size = sizeof(call), .timeout_ms = 100};
    struct trit_project_options options = {.size = sizeof(options), .call = &call};
    struct fixture f;

    prepare(&f, 16384);
    f.acts[0].deed = FAKE_STALL_DEAF;
    start(&f, 1);
    CHECK_EQ(project(&f, &options), TRIT_DEADLINE_EXCEEDED);
    CHECK(!f.projection.data);
    stop(&f);
}

static int watch(void *arg, uint64_t done, uint64_t total)
{
    uint64_t *last = arg;

    CHECK(done >= *last);
    CHECK(done <= total);
    *last = done;
    return 0;
}

CASE(progress, "progress never decreases and ends at the tensor's size")
{
    uint64_t last = 0;
    const struct trit_call_options call = {
        .size = sizeof(call), .progress = watch, .progress_arg = &last};
    struct trit_project_options options = {.size = sizeof(options), .call = &call};
    struct fixture f;

    prepare(&f, 4096);
    good_reply(&f);
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1);
    CHECK_EQ(project(&f, &options), TRIT_OK);
    CHECK_EQ(last, f.bytes);
    stop(&f);
}

/* ---- cases: broken replies --------------------------------------------------------- */

static void broken(struct fixture *f, enum trit_status status, const char *message)
{
    f->acts[0].deed = FAKE_ANSWER;
    start(f, 1);
    project_fails(f, status, message);
    stop(f);
}

CASE(wrong_crc, "a reply chunk with a wrong checksum is DATA_LOSS")
{
    struct fixture f;

    prepare(&f, 1024);
    good_reply(&f);
    f.reply.bytes[200]++;
    broken(&f, TRIT_DATA_LOSS, "crc32c");
}

CASE(hole, "missing bytes in the reply are DATA_LOSS")
{
    struct fixture f;

    prepare(&f, 1024);
    fake_reply_chunk(&f.reply, 0, 4, 0, "", 0);
    broken(&f, TRIT_DATA_LOSS, "offset 4 where 0 is next");
}

CASE(too_much, "more bytes than the request implies are refused")
{
    struct fixture f;

    prepare(&f, 1024);
    fake_reply_chunks(&f.reply, 0, f.expected, f.bytes, REPLY_CHUNK_BYTES);
    fake_reply_chunks(&f.reply, 0, f.expected, 1, 1);
    broken(&f, TRIT_INTERNAL, "more than");
}

CASE(too_little, "fewer bytes than the request implies are DATA_LOSS")
{
    const struct trit_report report = fake_report(1);
    struct fixture f;

    prepare(&f, 1024);
    fake_reply_chunks(&f.reply, 0, f.expected, f.bytes - 1, REPLY_CHUNK_BYTES);
    fake_reply_stream_report(&f.reply, &report);
    broken(&f, TRIT_DATA_LOSS, "bytes of data");
}

CASE(unasked_scales, "scales that the encoding does not have are refused")
{
    struct fixture f;

    prepare(&f, 1024);
    fake_reply_chunks(&f.reply, 1, f.expected, 4, 4);
    broken(&f, TRIT_INTERNAL, "scales");
}

/* ---- cases: several connections ---------------------------------------------------- */

/* The server answers every part the same, so rows of the halves are equal. */
CASE(splits, "without a report, rows are divided among connections")
{
    struct trit_project_options options = {.size = sizeof(options),
                                           .report = TRIT_REPORT_NONE,
                                           .encoding = TRIT_ENCODING_INT8};
    struct fake_request requests[2];
    struct fixture f;
    uint64_t half_data, half_scales;

    prepare(&f, 4096);
    half_data = f.bytes / 8;
    half_scales = f.bytes / 8 / 128 * 4;
    fake_reply_chunks(&f.reply, 1, f.expected, half_scales, 3333);
    fake_reply_chunks(&f.reply, 0, f.expected, half_data, REPLY_CHUNK_BYTES);
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1);
    if (project(&f, &options) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", f.error.message);
    CHECK_EQ(fake_connections(f.server), 2);
    CHECK(fake_request(f.server, 0, &requests[0]) &&
          fake_request(f.server, 1, &requests[1]));
    CHECK_EQ(requests[0].body_bytes, requests[1].body_bytes);
    CHECK_EQ(f.projection.data_bytes, 2 * half_data);
    CHECK_EQ(f.projection.scale_bytes, 2 * half_scales);
    for (uint64_t i = 0; i < 2; i++) {
        CHECK_MEM((uint8_t *)f.projection.data + i * half_data, f.expected, half_data);
        CHECK_MEM((uint8_t *)f.projection.scales + i * half_scales, f.expected,
                  half_scales);
    }
    stop(&f);
}

CASE(over_the_tensor,
     "a packed result may replace its tensor, and then comes by one stream")
{
    struct trit_project_options options = {.size = sizeof(options),
                                           .report = TRIT_REPORT_NONE,
                                           .encoding = TRIT_ENCODING_INT8};
    struct fixture f;

    prepare(&f, 4096);
    options.out = f.weights;
    options.out_bytes = f.bytes;
    fake_reply_chunks(&f.reply, 1, f.expected, f.bytes / 128, 3333);
    fake_reply_chunks(&f.reply, 0, f.expected, f.bytes / 4, REPLY_CHUNK_BYTES);
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1);
    if (project(&f, &options) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", f.error.message);
    CHECK_EQ(fake_connections(f.server), 1);
    CHECK_MEM(f.weights, f.expected, f.bytes / 4);
    stop(&f);
}

CASE(beside_the_tensor, "a result over a later part of its tensor is refused, and named")
{
    struct trit_project_options options = {.size = sizeof(options)};
    struct fixture f;

    prepare(&f, 1024);
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1);
    options.out = f.weights + 4;
    options.out_bytes = f.bytes;
    CHECK_EQ(project(&f, &options), TRIT_INVALID_ARGUMENT);
    CHECK_STR(f.error.field, "options.out");
    options.encoding = TRIT_ENCODING_INT8;
    options.out = f.weights + f.bytes - 1;
    CHECK_EQ(project(&f, &options), TRIT_INVALID_ARGUMENT);
    CHECK(strstr(f.error.message, "overlap the 4194304 bytes of tensor.data"));
    CHECK_EQ(fake_connections(f.server), 0);
    stop(&f);
}

CASE(split_asks_again,
     "if parts of a tensor are refused, it is sent as a whole to get the message")
{
    struct trit_project_options options = {.size = sizeof(options),
                                           .report = TRIT_REPORT_NONE};
    struct fake_request request;
    struct fixture f;

    prepare(&f, 4096);
    f.acts[0] =
        (struct fake_act){.deed = FAKE_FAIL, .status = "3", .message = "NaN at 1"};
    start(&f, 1);
    CHECK_EQ(project(&f, &options), TRIT_INVALID_ARGUMENT);
    CHECK(fake_request(f.server, 2, &request)); /* two parts, then the whole */
    CHECK(request.complete && request.body_bytes > f.bytes);
    stop(&f);
}

/* ---- cases: verify ----------------------------------------------------------------- */

CASE(verifies, "verify streams the tensor and its reference")
{
    const struct trit_report report = fake_report(42);
    struct fake_request request;
    struct trit_report got = TRIT_REPORT_INIT;
    struct fixture f;

    prepare(&f, 2048);
    fake_reply_verified(&f.reply, &report);
    f.acts[0].deed = FAKE_ANSWER;
    start(&f, 1);
    {
        const struct trit_tensor latents = {.size = sizeof(latents),
                                            .dtype = TRIT_F32,
                                            .rank = 2,
                                            .shape = {f.rows, COLUMNS},
                                            .data = f.weights,
                                            .bytes = f.bytes};
        const struct trit_tensor tensor = {.size = sizeof(tensor),
                                           .dtype = TRIT_BF16,
                                           .rank = 2,
                                           .shape = {f.rows, COLUMNS},
                                           .data = f.weights,
                                           .bytes = f.bytes / 2};
        const struct trit_verify_options options = {.size = sizeof(options),
                                                    .reference = &latents};

        CHECK_EQ(trit_verify(f.client, &tensor, &options, &got, &f.error), TRIT_OK);
    }
    CHECK_EQ(got.elements, 42);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/VerifyStream");
    CHECK(request.body_bytes > f.bytes + f.bytes / 2);
    CHECK(request.body_bytes < f.bytes + f.bytes / 2 + 2048);
    stop(&f);
}
