/* SPDX-License-Identifier: Apache-2.0 */
/* Projections whose groups the loop computes as they arrive. test_project has the same of streams
 * (same_bits). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/scan.h"
#include "services/config.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"

enum { ROWS = 150, COLUMNS = 1024 }; /* three tiles of f32 */

static float weights[ROWS * COLUMNS];

struct shape {
    enum trit_dtype dtype;
    enum trit_encoding encoding;
    uint32_t group_size;
};

static struct service *open_service(bool here)
{
    struct service_options options = service_defaults();

    options.inline_bytes_max = here ? SERVICES_INLINE_BYTES_MAX : 0;
    return service_open(&options);
}

/* f32 as it is; for 2 bytes an element, the upper halves. */
static struct request request_of(const struct shape *shape)
{
    const struct wire_project options = {.encoding = shape->encoding,
                                         .group_size = shape->group_size};
    const struct wire_tensor tensor = tensor_2d(shape->dtype, ROWS, COLUMNS);
    static uint16_t halves[ROWS * COLUMNS];

    if (shape->dtype == TRIT_F32)
        return ask_project(&options, &tensor, weights, sizeof(weights));
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        uint32_t bits;

        memcpy(&bits, &weights[i], sizeof(bits));
        halves[i] = (uint16_t)(bits >> 16);
    }
    return ask_project(&options, &tensor, halves, sizeof(halves));
}

struct reply {
    enum trit_status status;
    uint8_t report[4096];
    size_t report_count;
    uint8_t *data;
    size_t data_count;
};

/* The report without what differs from call to call, and the bulk fields. */
static void read_reply(const struct exchange *exchange, struct reply *reply)
{
    struct wire_projected_head head = {0};
    struct scanned found;
    char error[CODEC_ERROR_BYTES];
    struct scan scanner;
    size_t count = 0;
    const uint8_t *bytes = exchange_message(exchange, 0, &count);

    *reply = (struct reply){.status = exchange->status, .data = malloc(count + 1)};
    if (!bytes)
        return;
    scan_init(&scanner, scan_projected, count);
    for (enum scan_event event;
         (event = scan(&scanner, &bytes, &count, &found)) != SCAN_MORE;) {
        CHECK(event != SCAN_ERROR);
        if (event != SCAN_BLOB_BYTES)
            continue;
        memcpy(reply->data + reply->data_count, found.bytes, found.count);
        reply->data_count += found.count;
    }
    CHECK(scan_complete(&scanner));
    CHECK(decode_projected(&scanner.parts[PART_ROOT], &head, error) == 0);
    head.report.time_unix_ns = 0;
    reply->report_count =
        encode_report(&head.report, reply->report, sizeof(reply->report));
    scan_fini(&scanner);
}

static struct reply project(struct service *service, const struct shape *shape,
                            size_t cut)
{
    struct request request = request_of(shape);
    struct exchange exchange;
    struct reply reply;

    ask(service, &exchange, project_path, &request, cut);
    read_reply(&exchange, &reply);
    exchange_free(&exchange);
    return reply;
}

/* The status of both. */
static enum trit_status same(struct service *here, struct service *workers,
                             const struct shape *shape)
{
    static const size_t cuts[] = {0, 97, 4099};
    const struct reply wanted = project(workers, shape, 0);

    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        const struct reply got = project(here, shape, cuts[i]);

        CHECK_EQ(got.status, wanted.status);
        CHECK_EQ(got.report_count, wanted.report_count);
        CHECK_MEM(got.report, wanted.report, wanted.report_count);
        CHECK_EQ(got.data_count, wanted.data_count);
        CHECK_MEM(got.data, wanted.data, wanted.data_count);
        free(got.data);
    }
    free(wanted.data);
    return wanted.status;
}

CASE(cuts_do_not_matter,
     "what the loop projects as it arrives is what workers project, wherever it is cut")
{
    static const struct shape shapes[] = {
        {TRIT_F32, TRIT_ENCODING_PQ2_0, 128}, {TRIT_BF16, TRIT_ENCODING_PQ2_0, 128},
        {TRIT_F32, TRIT_ENCODING_TQ1_0, 256}, {TRIT_F32, TRIT_ENCODING_INT8, 64},
        {TRIT_F32, TRIT_ENCODING_INT8, 512},  {TRIT_F32, TRIT_ENCODING_PQ2_0, 1024},
    };
    struct service *here = open_service(true), *workers = open_service(false);

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        random_weights(weights, ROWS * COLUMNS, check_seed() + i);
        CHECK_EQ(same(here, workers, &shapes[i]), TRIT_OK);
    }
    service_close(here);
    service_close(workers);
}

CASE(refused_alike,
     "a tensor that has a NaN or loses a scale gets the same answer from the loop as "
     "from workers")
{
    static const struct shape shape = {TRIT_F32, TRIT_ENCODING_PQ2_0, 128};
    struct service *here = open_service(true), *workers = open_service(false);

    random_weights(weights, ROWS * COLUMNS, check_seed());
    weights[70 * COLUMNS + 200] = NAN;
    CHECK_EQ(same(here, workers, &shape), TRIT_INVALID_ARGUMENT);
    random_weights(weights, ROWS * COLUMNS, check_seed());
    for (size_t i = 0; i < 128; i++)
        weights[100 * COLUMNS + i] = 1e30F;
    CHECK_EQ(same(here, workers, &shape), TRIT_INVALID_ARGUMENT);
    service_close(here);
    service_close(workers);
}

CASE(ends_anywhere, "an upload that ends between or within groups gives its memory back")
{
    static const struct shape shape = {TRIT_F32, TRIT_ENCODING_PQ2_0, 128};
    struct service *service = open_service(true);
    uint64_t seed = check_seed();

    random_weights(weights, ROWS * COLUMNS, seed);
    for (size_t i = 0; i < 30; i++) {
        struct request request = request_of(&shape);
        struct exchange exchange;

        request.count = check_random(&seed) % request.count;
        exchange_begin(service_connection(service), &exchange, project_path, &request, 0,
                       true, NULL);
        exchange_upload(&exchange);
        exchange_cancel(&exchange);
        exchange_finish(&exchange);
        exchange_free(&exchange);
        request_free(&request);
    }
    service_close(service); /* checks the budget */
}

/* Half of each group is 0.5 or -0.5, so that f16 and f32 hold the same scale. */
static void exact_weights(void)
{
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++)
        weights[i] = i % 2 == 0 ? 0.0F : i % 3 == 0 ? -0.5F : 0.5F;
}

static int filed(struct service *service, enum trit_encoding encoding, const char *path)
{
    const struct wire_tensor tensor = tensor_2d(TRIT_F32, ROWS, COLUMNS);
    const struct wire_project options = {
        .encoding = encoding, .layer = layer_ref("run", "layer", 1), .tensor = tensor};
    struct request request =
        path == project_path
            ? ask_project(&options, &tensor, weights, sizeof(weights))
            : ask_project_stream(&options, weights, sizeof(weights), 10007);
    struct exchange exchange;
    int status;

    ask(service, &exchange, path, &request, 4099);
    status = exchange.status;
    exchange_free(&exchange);
    return status;
}

CASE(same_latents,
     "what the loop projects as it arrives is filed with the hash of its latents")
{
    struct service *service = open_service(true);

    exact_weights();
    /* A dense output goes by tiles. Its report and those of codes are the same. */
    CHECK_EQ(filed(service, TRIT_ENCODING_DENSE, project_path), TRIT_OK);
    CHECK_EQ(filed(service, TRIT_ENCODING_PQ2_0, project_path), TRIT_OK);
    CHECK_EQ(filed(service, TRIT_ENCODING_PQ2_0, project_stream_path), TRIT_OK);
    weights[100 * COLUMNS + 7] += 0.0625F; /* the same codes and scale */
    weights[100 * COLUMNS + 11] -= 0.0625F;
    CHECK_EQ(filed(service, TRIT_ENCODING_PQ2_0, project_path), TRIT_ALREADY_EXISTS);
    CHECK_EQ(filed(service, TRIT_ENCODING_PQ2_0, project_stream_path),
             TRIT_ALREADY_EXISTS);
    service_close(service);
}
