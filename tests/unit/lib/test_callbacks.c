/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors and results that go through functions of the caller. */
#include <stdlib.h>
#include <string.h>

#include <trit.h>

#include "tests/lib/check.h"
#include "tests/lib/fake_reply.h"
#include "tests/lib/fake_server.h"

/* ---- fixture ---------------------------------------------------------------------- */

enum { COLUMNS = 1024, REPLY_CHUNK_BYTES = 100000 };

/* One side of a transfer. It fails when it has passed `fails_at` bytes. */
struct side {
    uint8_t *bytes;
    uint64_t count, done, fails_at;
    uint32_t restarts;
};

struct fixture {
    uint64_t rows;
    struct side source, sink;
    const struct trit_retry_policy *retry; /* NULL: none */
    struct fake_reply reply;
    struct fake_act acts[2];
    struct fake_server *server;
    struct trit_client *client;
    struct trit_error error;
    struct trit_report report;
    struct trit_projection projection;
};

/* Fits trit_read: checks that pieces come in order. */
static int give(void *arg, uint64_t offset, void *to, uint64_t bytes)
{
    struct side *side = arg;

    if (offset == 0 && side->done > 0) {
        side->restarts++;
        side->done = 0;
    }
    CHECK_EQ(offset, side->done);
    CHECK(bytes > 0 && bytes <= 1 << 20 && bytes <= side->count - offset);
    if (offset + bytes > side->fails_at)
        return 7;
    memcpy(to, side->bytes + offset, bytes);
    side->done += bytes;
    return 0;
}

/* Fits trit_write. */
static int take(void *arg, uint64_t offset, const void *from, uint64_t bytes)
{
    struct side *side = arg;

    CHECK_EQ(offset, side->done);
    CHECK(bytes > 0 && bytes <= side->count - offset);
    if (offset + bytes > side->fails_at)
        return -1;
    memcpy(side->bytes + offset, from, bytes);
    side->done += bytes;
    return 0;
}

static void side_init(struct side *side, uint64_t count)
{
    *side =
        (struct side){.bytes = calloc(count, 1), .count = count, .fails_at = UINT64_MAX};
    CHECK(side->bytes);
}

static void prepare(struct fixture *f, uint64_t rows)
{
    uint64_t seed = 11;

    memset(f, 0, sizeof(*f));
    f->error = (struct trit_error)TRIT_ERROR_INIT;
    f->report = (struct trit_report)TRIT_REPORT_INIT;
    f->projection = (struct trit_projection)TRIT_PROJECTION_INIT;
    f->projection.report = &f->report;
    f->rows = rows;
    side_init(&f->source, rows * COLUMNS * 4);
    side_init(&f->sink, rows * COLUMNS * 4);
    for (uint64_t i = 0; i < f->source.count; i++)
        f->source.bytes[i] = (uint8_t)check_random(&seed);
}

/* The last act answers with `reply`; those before it are set already. */
static void start(struct fixture *f, size_t acts)
{
    struct trit_connect_options options = {
        .size = sizeof(options), .timeout_ms = 20000, .retry = f->retry};

    f->acts[acts - 1] = (struct fake_act){
        .deed = FAKE_ANSWER, .body = f->reply.bytes, .body_bytes = f->reply.count};
    f->server = fake_start(f->acts, acts);
    options.address = fake_address(f->server);
    CHECK_EQ(trit_connect(&f->client, &options, &f->error), TRIT_OK);
}

/* The daemon answers a projection with the tensor itself. */
static void start_echo(struct fixture *f, size_t acts)
{
    const struct trit_report report = fake_report(f->rows * COLUMNS);

    fake_reply_chunks(&f->reply, 0, f->source.bytes, f->source.count, REPLY_CHUNK_BYTES);
    fake_reply_stream_report(&f->reply, &report);
    start(f, acts);
}

static void stop(struct fixture *f)
{
    trit_projection_free(&f->projection);
    trit_close(f->client);
    fake_stop(f->server);
    fake_reply_free(&f->reply);
    free(f->source.bytes);
    free(f->sink.bytes);
}

static struct trit_tensor read_tensor(struct fixture *f)
{
    return (struct trit_tensor){.size = sizeof(struct trit_tensor),
                                .dtype = TRIT_F32,
                                .rank = 2,
                                .shape = {f->rows, COLUMNS},
                                .bytes = f->source.count,
                                .read = give,
                                .read_arg = &f->source};
}

static enum trit_status project(struct fixture *f, struct trit_project_options options)
{
    const struct trit_tensor tensor = read_tensor(f);

    options.size = sizeof(options);
    options.write = take;
    options.write_arg = &f->sink;
    return trit_project(f->client, &tensor, &options, &f->projection, &f->error);
}

static void project_ok(struct fixture *f)
{
    if (project(f, (struct trit_project_options){.size = 0}) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s: %s", trit_status_name(f->error.status),
                     f->error.message);
    CHECK(!f->projection.data && !f->projection.data_owned);
    CHECK_EQ(f->projection.data_bytes, f->source.count);
    CHECK_EQ(f->sink.done, f->source.count);
    CHECK_MEM(f->sink.bytes, f->source.bytes, f->source.count);
    CHECK_EQ(f->report.elements, f->rows * COLUMNS);
}

static void refused(struct fixture *f, enum trit_status got, enum trit_status wanted,
                    const char *field)
{
    if (got != wanted || strcmp(f->error.field, field) != 0)
        check_failed(__FILE__, __LINE__, "%s, field %s (%s), instead of %s, field %s",
                     trit_status_name(got), f->error.field, f->error.message,
                     trit_status_name(wanted), field);
}

/* ---- cases: project ---------------------------------------------------------------- */

CASE(goes_through, "callbacks read a tensor and write its result in order")
{
    struct fake_request request;
    struct fixture f;

    prepare(&f, 4099); /* 16 MiB, no multiple of a chunk */
    start_echo(&f, 1);
    project_ok(&f);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/ProjectStream");
    CHECK(request.complete);
    CHECK(request.body_bytes > f.source.count &&
          request.body_bytes < f.source.count + 2048);
    stop(&f);
}

CASE(small, "a small tensor with callbacks is streamed too")
{
    struct fake_request request;
    struct fixture f;

    prepare(&f, 3);
    start_echo(&f, 1);
    project_ok(&f);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/ProjectStream");
    stop(&f);
}

CASE(one_connection,
     "a tensor with callbacks uses one connection, so that pieces come in order")
{
    struct fixture f;

    prepare(&f, 4096);
    start_echo(&f, 1);
    CHECK_EQ(project(&f, (struct trit_project_options){.report = TRIT_REPORT_NONE,
                                                       .encoding = TRIT_ENCODING_DENSE}),
             TRIT_OK);
    CHECK_EQ(fake_connections(f.server), 1);
    CHECK_EQ(f.sink.done, f.source.count);
    stop(&f);
}

CASE(again, "a refused stream is retried from the first byte")
{
    struct fixture f;

    prepare(&f, 2048);
    f.acts[0].deed = FAKE_GOAWAY;
    start_echo(&f, 2);
    project_ok(&f);
    CHECK_EQ(f.source.restarts, 1);
    stop(&f);
}

CASE(not_again, "a call is not retried when a part of its result was given to a callback")
{
    const struct trit_retry_policy retry = {
        .size = sizeof(retry), .initial_backoff_ms = 1, .max_backoff_ms = 1};
    struct fake_request request;
    struct fixture f;

    prepare(&f, 2048);
    f.retry = &retry;
    f.acts[0].deed = FAKE_HANGUP; /* no byte was given: retried */
    start_echo(&f, 2);
    f.acts[1].cut_at = f.reply.count / 2;
    CHECK_EQ(project(&f, (struct trit_project_options){.size = 0}), TRIT_UNAVAILABLE);
    CHECK(f.sink.done > 0);
    CHECK(fake_request(f.server, 1, &request) && !fake_request(f.server, 2, &request));
    stop(&f);
}

CASE(read_fails, "a failed read callback ends the call and its stream with ABORTED")
{
    struct fake_request request;
    struct fixture f;

    prepare(&f, 8192);
    f.source.fails_at = 20 << 20;
    start_echo(&f, 1);
    refused(&f, project(&f, (struct trit_project_options){.size = 0}), TRIT_ABORTED,
            "tensor.read");
    CHECK(strstr(f.error.message, "returned 7"));
    CHECK(!f.projection.data && f.sink.done == 0);
    CHECK(fake_await_reset(f.server, 0, &request));
    CHECK(!request.complete);
    stop(&f);
}

CASE(write_fails, "a failed write callback ends the call with ABORTED")
{
    struct fixture f;

    prepare(&f, 2048);
    f.sink.fails_at = 3 << 20;
    start_echo(&f, 1);
    refused(&f, project(&f, (struct trit_project_options){.size = 0}), TRIT_ABORTED,
            "options.write");
    CHECK(!f.projection.data);
    CHECK(f.sink.done > 0 && f.sink.done <= f.sink.fails_at);
    stop(&f);
}

CASE(one_scale, "for an encoding with one scale the tensor is read and sent twice")
{
    const struct trit_project_options options = {.size = sizeof(options),
                                                 .encoding = TRIT_ENCODING_I2_S};
    struct fake_request request;
    struct trit_report report;
    struct fixture f;
    uint64_t packed;

    prepare(&f, 4100); /* 16 MiB, no multiple of a chunk */
    packed = f.rows * COLUMNS / 4 + 32;
    report = fake_report(f.rows * COLUMNS);
    fake_reply_chunks(&f.reply, 0, f.source.bytes, packed, REPLY_CHUNK_BYTES);
    fake_reply_stream_report(&f.reply, &report);
    start(&f, 1);
    CHECK_EQ(project(&f, options), TRIT_OK);
    CHECK_EQ(f.source.restarts, 1);
    CHECK_EQ(f.sink.done, packed);
    CHECK_MEM(f.sink.bytes, f.source.bytes, packed);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/ProjectStream");
    CHECK(request.body_bytes > 2 * f.source.count &&
          request.body_bytes < 2 * f.source.count + 16384);
    stop(&f);
}

CASE(contradictions,
     "a result has only one destination, and other methods need data in memory")
{
    uint8_t out[16];
    struct fixture f;
    struct trit_tensor tensor;
    uint64_t bytes;
    void *data;

    prepare(&f, 4);
    start_echo(&f, 1);
    refused(&f, project(&f, (struct trit_project_options){.out = out}),
            TRIT_INVALID_ARGUMENT, "options.write");
    tensor = read_tensor(&f);
    refused(&f, trit_unpack(f.client, &tensor, NULL, &data, &bytes, &f.error),
            TRIT_INVALID_ARGUMENT, "packed.data");
    refused(&f, trit_backward(f.client, &tensor, NULL, out, &f.error),
            TRIT_INVALID_ARGUMENT, "grad_ternary.data");
    tensor.read = NULL;
    refused(&f, trit_project(f.client, &tensor, NULL, &f.projection, &f.error),
            TRIT_INVALID_ARGUMENT, "tensor.data");
    CHECK_EQ(fake_connections(f.server), 0);
    stop(&f);
}

/* ---- cases: pack -------------------------------------------------------------------- */

/* The fixture's bytes as blocks of PQ2_0: 34 bytes for 128 weights. */
static enum trit_status pack(struct fixture *f, struct trit_pack_options options)
{
    struct trit_tensor tensor = read_tensor(f);

    CHECK_EQ(f->source.count % (34 * 16), 0);
    tensor.dtype = TRIT_U8;
    tensor.shape[0] = 16;
    tensor.shape[1] = f->source.count / 34 / 16 * 128;
    options.size = sizeof(options);
    options.source_encoding = TRIT_ENCODING_PQ2_0;
    options.write = take;
    options.write_arg = &f->sink;
    return trit_pack(f->client, &tensor, &options, &f->projection, &f->error);
}

CASE(packs, "pack reads a tensor and writes its result in order, whatever the size")
{
    static const uint64_t rows[] = {17, 17 * 64};

    for (size_t i = 0; i < 2; i++) {
        struct fake_request request;
        struct fixture f;

        prepare(&f, rows[i]);
        start_echo(&f, 1);
        CHECK_EQ(pack(&f, (struct trit_pack_options){.encoding = TRIT_ENCODING_PQ2_0}),
                 TRIT_OK);
        CHECK(!f.projection.data);
        CHECK_EQ(f.projection.data_bytes, f.source.count);
        CHECK_MEM(f.sink.bytes, f.source.bytes, f.source.count);
        CHECK(fake_request(f.server, 0, &request));
        CHECK_STR(request.path, "/trit.v1.Ternary/PackStream");
        stop(&f);
    }
}

CASE(packs_one_scale, "packing into an encoding with one scale reads the tensor once")
{
    struct fake_request request;
    struct trit_report report;
    struct fixture f;
    uint64_t packed;

    prepare(&f, 17 * 64);
    packed = f.source.count / 34 * 32 + 32;
    report = fake_report(f.source.count / 34 * 128);
    fake_reply_chunks(&f.reply, 0, f.source.bytes, packed, REPLY_CHUNK_BYTES);
    fake_reply_stream_report(&f.reply, &report);
    start(&f, 1);
    CHECK_EQ(pack(&f, (struct trit_pack_options){.encoding = TRIT_ENCODING_I2_S}),
             TRIT_OK);
    CHECK_EQ(f.source.restarts, 0);
    CHECK_EQ(f.sink.done, packed);
    CHECK_MEM(f.sink.bytes, f.source.bytes, packed);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/PackStream");
    CHECK(request.body_bytes > f.source.count &&
          request.body_bytes < f.source.count + 16384);
    stop(&f);
}

CASE(pack_refuses, "pack has one destination, and ends when the tensor cannot be read")
{
    uint8_t out[16];
    struct fixture f;

    prepare(&f, 17);
    start_echo(&f, 1);
    refused(
        &f,
        pack(&f, (struct trit_pack_options){.encoding = TRIT_ENCODING_PQ2_0, .out = out}),
        TRIT_INVALID_ARGUMENT, "options.write");
    f.source.fails_at = 100;
    refused(&f, pack(&f, (struct trit_pack_options){.encoding = TRIT_ENCODING_PQ2_0}),
            TRIT_ABORTED, "tensor.read");
    stop(&f);
}

/* ---- cases: verify ----------------------------------------------------------------- */

static enum trit_status verify(struct fixture *f, struct side *latents)
{
    const struct trit_tensor tensor = read_tensor(f);
    struct trit_tensor reference = tensor;
    const struct trit_verify_options options = {.size = sizeof(options),
                                                .reference = &reference};

    reference.read_arg = latents;
    return trit_verify(f->client, &tensor, &options, &f->report, &f->error);
}

CASE(verifies, "verify reads the tensor and its reference in turn")
{
    const struct trit_report report = fake_report(42);
    struct fake_request request;
    struct side latents;
    struct fixture f;

    prepare(&f, 2051);
    latents = f.source;
    fake_reply_verified(&f.reply, &report);
    start(&f, 1);
    CHECK_EQ(verify(&f, &latents), TRIT_OK);
    CHECK_EQ(f.report.elements, 42);
    CHECK_EQ(f.source.done, f.source.count);
    CHECK_EQ(latents.done, latents.count);
    CHECK(fake_request(f.server, 0, &request));
    CHECK_STR(request.path, "/trit.v1.Ternary/VerifyStream");
    CHECK(request.body_bytes > 2 * f.source.count);
    f.source.done = latents.done = 0;
    latents.fails_at = 5 << 20;
    refused(&f, verify(&f, &latents), TRIT_ABORTED, "reference.read");
    stop(&f);
}
