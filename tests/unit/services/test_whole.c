/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors with one scale: held whole, in memory that grows as they come; what is
 * computed is checked by tests/e2e/test_packed.py. */
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/framing.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "work/blocks.h"

enum { ROWS = 1024, COLUMNS = 384, BYTES = ROWS * COLUMNS * 4 };
enum { MANY_ROWS = 8 * ROWS }; /* a tensor above the smallest budgets */

static const enum trit_encoding encodings[] = {TRIT_ENCODING_I2_S,
                                               TRIT_ENCODING_HF_BITNET};
enum { ENCODINGS = sizeof(encodings) / sizeof(encodings[0]) };

static float weights[MANY_ROWS * COLUMNS];
static struct service *service;

static void open_service(uint64_t memory_bytes_max)
{
    struct service_options options = service_defaults();

    if (memory_bytes_max)
        options.limits.memory_bytes_max = memory_bytes_max;
    service = service_open(&options);
    random_weights(weights, ROWS * COLUMNS, 1);
}

static struct request ask_whole(enum trit_encoding encoding, uint64_t rows)
{
    struct wire_project project = {.encoding = (uint32_t)encoding,
                                   .report = TRIT_REPORT_NONE};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, rows, COLUMNS);

    return ask_project(&project, &tensor, weights, (size_t)rows * COLUMNS * 4);
}

static void cut_one(enum trit_encoding encoding)
{
    static const size_t cuts[] = {0, 1000, 65537};
    struct exchange exchanges[3];

    open_service(0);
    for (size_t i = 0; i < 3; i++) {
        struct request request = ask_whole(encoding, ROWS);

        ask(service, &exchanges[i], project_path, &request, cuts[i]);
        CHECK_EQ(exchanges[i].status, 0);
        CHECK(exchanges[i].body_count > BYTES / 16 + 4);
        CHECK_EQ(exchanges[i].body_count, exchanges[0].body_count);
        CHECK_MEM(exchanges[i].body, exchanges[0].body, exchanges[0].body_count);
    }
    for (size_t i = 0; i < 3; i++)
        exchange_free(&exchanges[i]);
    service_close(service);
}

CASE(cut_anywhere, "a tensor with one scale gives the same bytes however it is cut")
{
    for (size_t i = 0; i < ENCODINGS; i++)
        cut_one(encodings[i]);
}

/* A length alone reserves nothing: a tensor above the budget is refused once so much of
 * it has come, and until then takes no other call's memory. */
static void one_grows(enum trit_encoding encoding)
{
    struct request whole, part, small;
    struct exchange first, other;

    open_service(8 * BYTES);
    whole = ask_whole(encoding, MANY_ROWS);
    small = ask_whole(encoding, ROWS);
    part = whole;
    part.count = 100000;
    exchange_begin(service_connection(service), &first, project_path, &part, 0, true,
                   NULL);
    exchange_upload(&first);
    ask(service, &other, project_path, &small, 0);
    CHECK_EQ(other.status, 0);
    exchange_free(&other);
    exchange_cancel(&first);
    service_wait_idle(service);
    exchange_free(&first);
    ask(service, &first, project_path, &whole, 0);
    CHECK_EQ(first.status, TRIT_RESOURCE_EXHAUSTED);
    exchange_free(&first);
    service_close(service);
}

CASE(grows_as_it_comes,
     "the memory of a tensor with one scale grows as it arrives, up to the budget")
{
    for (size_t i = 0; i < ENCODINGS; i++)
        one_grows(encodings[i]);
}

/* All of +1: its scale, then bytes of codes 2. */
static struct request ask_packed(const char *path)
{
    static uint8_t packed[ROWS * COLUMNS / 4];
    const float scale = 0.5F;
    struct request request = {0};
    uint8_t head[2048], prefix[5];
    size_t count, cut[2];

    memset(packed, 0xaa, sizeof(packed));
    if (path == unpack_path) {
        struct wire_unpack unpack = {.encoding = TRIT_ENCODING_HF_BITNET,
                                     .dtype = TRIT_F32,
                                     .rank = 2,
                                     .shape = {ROWS, COLUMNS}};

        count = encode_unpack(&unpack, sizeof(scale), sizeof(packed), head, sizeof(head),
                              cut);
    } else {
        struct wire_verify verify = {.encoding = TRIT_ENCODING_HF_BITNET};
        struct wire_tensor tensor = tensor_2d(TRIT_U8, ROWS, COLUMNS);

        count = encode_verify(&verify, sizeof(scale), NULL, 0, &tensor, sizeof(packed),
                              head, sizeof(head), cut);
    }
    CHECK(count > 0);
    frame_prefix(prefix, (uint32_t)(count + sizeof(scale) + sizeof(packed)));
    request_put(&request, prefix, sizeof(prefix));
    request_put(&request, head, cut[0]);
    request_put(&request, &scale, sizeof(scale));
    request_put(&request, head + cut[0], count - cut[0]);
    request_put(&request, packed, sizeof(packed));
    return request;
}

static void put_message(struct request *request, const uint8_t *head, size_t count,
                        const void *bytes, size_t more)
{
    uint8_t prefix[5];

    CHECK(count > 0);
    frame_prefix(prefix, (uint32_t)(count + more));
    request_put(request, prefix, sizeof(prefix));
    request_put(request, head, count);
    request_put(request, bytes, more);
}

/* From or to hf_bitnet: all of +1 under the scale 0.5, in two chunks. */
static struct request ask_pack_stream(enum trit_encoding from, enum trit_encoding to)
{
    static uint8_t codes[ROWS * COLUMNS];
    static float scales[ROWS * COLUMNS / 128];
    const bool whole = from == TRIT_ENCODING_HF_BITNET;
    const size_t bytes = whole ? sizeof(codes) / 4 : sizeof(codes);
    const size_t scale_bytes = whole ? sizeof(float) : sizeof(scales);
    const struct wire_pack pack = {.source_encoding = (uint32_t)from,
                                   .encoding = (uint32_t)to,
                                   .tensor = tensor_2d(TRIT_U8, ROWS, COLUMNS)};
    struct request request = {0};
    uint8_t head[2048];

    memset(codes, whole ? 0xaa : 1, sizeof(codes));
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++)
        scales[i] = 0.5F;
    put_message(&request, head, encode_pack_start(&pack, scale_bytes, head, sizeof(head)),
                scales, scale_bytes);
    for (size_t at = 0; at < bytes; at += bytes / 2)
        put_message(&request, head,
                    encode_chunk_request(false, at, crc32c(0, codes + at, bytes / 2),
                                         bytes / 2, head, sizeof(head)),
                    codes + at, bytes / 2);
    return request;
}

static struct request ask_nth(size_t nth, const char **path)
{
    if (nth >= ENCODINGS + 2) {
        const bool from = nth == ENCODINGS + 2;

        *path = pack_stream_path;
        return ask_pack_stream(from ? TRIT_ENCODING_HF_BITNET : TRIT_ENCODING_INT8,
                               from ? TRIT_ENCODING_INT8 : TRIT_ENCODING_HF_BITNET);
    }
    *path = nth < ENCODINGS ? project_path : nth == ENCODINGS ? verify_path : unpack_path;
    return nth < ENCODINGS ? ask_whole(encodings[nth], ROWS) : ask_packed(*path);
}

/* Separated, the rows take four times the bytes of the input. */
CASE(parted_within_the_budget,
     "separating the rows of an hf_bitnet input is charged to the budget")
{
    for (int fits = 0; fits < 2; fits++) {
        struct exchange exchange;
        struct request request;

        open_service(fits ? 16 << 20 : BLOCKS_SLAB_BYTES + (256 << 10));
        request = ask_packed(verify_path);
        ask(service, &exchange, verify_path, &request, 0);
        CHECK_EQ(exchange.status, fits ? TRIT_OK : TRIT_RESOURCE_EXHAUSTED);
        exchange_free(&exchange);
        service_close(service);
    }
}

static void memory_fails_of(size_t nth)
{
    for (uint64_t n = 1; n < 2000; n++) {
        struct exchange exchange;
        struct request request;
        const char *path;
        bool hit;

        open_service(0);
        request = ask_nth(nth, &path);
        exchange_begin(service_connection(service), &exchange, path, &request, 0, false,
                       NULL);
        fault_arm(FAULT_MEMORY | FAULT_MAP, n, FAULT_ONCE);
        exchange_finish(&exchange);
        hit = fault_disarm();
        CHECK(service_broken(service) || exchange.status >= 0 || exchange.closed);
        exchange_free(&exchange);
        request_free(&request);
        service_close(service);
        if (!hit) {
            CHECK_EQ(exchange.status, 0);
            return;
        }
    }
    check_failed(__FILE__, __LINE__, "more allocations than one call can need");
}

CASE(memory_fails, "whichever allocation fails, the call ends and nothing is left behind")
{
    for (size_t nth = 0; nth < ENCODINGS + 4; nth++)
        memory_fails_of(nth);
}
