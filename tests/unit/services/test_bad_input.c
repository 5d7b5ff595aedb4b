/* SPDX-License-Identifier: Apache-2.0 */
/* Every refusal has a status and a message that names the field and the value,
 * and the next call on the same connection is served. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "proto/framing.h"
#include "tests/lib/asks.h"
#include "tests/lib/check.h"

static struct service *service;

static void open_service(void)
{
    const struct service_options options = service_defaults();

    service = service_open(&options);
}

static void still_serves(void)
{
    static const float weights[4] = {1, -1, 0, 0.1F};
    const struct wire_project project = {0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, 1, 4);
    struct request request = ask_project(&project, &tensor, weights, sizeof(weights));
    struct exchange exchange;

    ask(service, &exchange, project_path, &request, 0);
    CHECK_EQ(exchange.status, 0);
    exchange_free(&exchange);
}

static void refused(const char *path, struct request *request, enum trit_status status,
                    const char *words)
{
    struct exchange exchange;

    ask(service, &exchange, path, request, 0);
    if (exchange.status != (int)status || !strstr(exchange.message, words))
        check_failed(__FILE__, __LINE__, "status %d, not %d; \"%s\" should say \"%s\"",
                     exchange.status, (int)status, exchange.message, words);
    exchange_free(&exchange);
    still_serves();
}

static void refused_project(struct wire_project project, struct wire_tensor tensor,
                            size_t bytes, enum trit_status status, const char *words)
{
    float *data = calloc(1, bytes + 1);
    struct request request = ask_project(&project, &tensor, data, bytes);

    refused(project_path, &request, status, words);
    project.tensor = tensor;
    request = ask_project_stream(&project, data, bytes, 1000);
    if (bytes == 16 || bytes == 0) /* the length is only known at a stream's end */
        refused(project_stream_path, &request, status, words);
    request_free(&request);
    free(data);
}

/* ---- shapes, dtypes, options ------------------------------------------------------ */

CASE(shapes, "an invalid shape, length or dtype is refused by name")
{
    struct wire_tensor tensor = tensor_2d(TRIT_F32, 2, 2);
    const struct wire_project plain = {0};

    open_service();
    refused_project(plain, tensor_2d(TRIT_F32, 1ull << 32, 1ull << 32), 16,
                    TRIT_INVALID_ARGUMENT, "4294967296");
    refused_project(plain, tensor, 12, TRIT_INVALID_ARGUMENT, "12 bytes");
    refused_project(plain, tensor, 20, TRIT_INVALID_ARGUMENT, "20 bytes");
    refused_project(plain, tensor_2d(TRIT_F32, 0, 4), 16, TRIT_INVALID_ARGUMENT, "shape");
    tensor.rank = 0;
    refused_project(plain, tensor, 16, TRIT_INVALID_ARGUMENT, "rank 0");
    refused_project(plain, tensor_2d((enum trit_dtype)99, 2, 2), 16,
                    TRIT_INVALID_ARGUMENT, "99");
    refused_project(plain, tensor_2d(TRIT_DTYPE_UNSPECIFIED, 2, 2), 16,
                    TRIT_INVALID_ARGUMENT, "dtype");
    refused_project(plain, tensor_2d(TRIT_I8, 2, 2), 16, TRIT_INVALID_ARGUMENT, "dtype");
    service_close(service);
}

CASE(options, "an invalid option is refused by name")
{
    const struct wire_tensor tensor = tensor_2d(TRIT_F32, 2, 2);

    open_service();
    refused_project((struct wire_project){.encoding = 77}, tensor, 16,
                    TRIT_INVALID_ARGUMENT, "77");
    refused_project((struct wire_project){.group_size = 65537}, tensor, 16,
                    TRIT_INVALID_ARGUMENT, "65537");
    refused_project((struct wire_project){.partial_group = 5}, tensor, 16,
                    TRIT_INVALID_ARGUMENT, "options.partial_group: 5");
    refused_project((struct wire_project){.report = 9}, tensor, 16, TRIT_INVALID_ARGUMENT,
                    "options.report: 9");
    refused_project((struct wire_project){.encoding = TRIT_ENCODING_PQ2_0}, tensor, 16,
                    TRIT_INVALID_ARGUMENT, "128");
    refused_project((struct wire_project){.report = TRIT_REPORT_NONE,
                                          .layer = layer_ref("r", "l", 1)},
                    tensor, 16, TRIT_INVALID_ARGUMENT, "options.report");
    refused_project((struct wire_project){.layer = layer_ref("", "l", 1)}, tensor, 16,
                    TRIT_INVALID_ARGUMENT, "layer.run");
    refused_project((struct wire_project){.layer = layer_ref("r", "l", 1ull << 63)},
                    tensor, 16, TRIT_INVALID_ARGUMENT, "9223372036854775808");
    service_close(service);
}

CASE(group_sizes,
     "group sizes 0, 1, 3, the largest, and one larger than the row are served")
{
    static const uint32_t sizes[] = {0, 1, 3, 100, 65536};
    static const float weights[12] = {1, -2, 3, 0, 0, 0, -1, 1, 2, 5, 6, 7};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, 2, 6);

    open_service();
    for (size_t i = 0; i < 5; i++) {
        const struct wire_project project = {.group_size = sizes[i]};
        struct request request = ask_project(&project, &tensor, weights, sizeof(weights));
        struct exchange exchange;

        ask(service, &exchange, project_path, &request, 0);
        CHECK_STR(exchange.message, "");
        CHECK_EQ(exchange.status, 0);
        exchange_free(&exchange);
    }
    service_close(service);
}

CASE(non_finite, "NaN and infinity fail a projection with their count and first index")
{
    const struct wire_project plain = {0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, 700, 200);
    float *weights = calloc(700 * 200, sizeof(float));
    struct wire_project start = {.tensor = tensor};
    struct request request;

    open_service();
    weights[137] = NAN;
    weights[70000] = -INFINITY;
    weights[139999] = NAN;
    request = ask_project(&plain, &tensor, weights, 700 * 200 * 4);
    refused(project_path, &request, TRIT_INVALID_ARGUMENT,
            "3 values are NaN or infinite, the first at index 137");
    request = ask_project_stream(&start, weights, 700 * 200 * 4, 999);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT,
            "3 values are NaN or infinite, the first at index 137");
    free(weights);
    service_close(service);
}

CASE(lost_scales,
     "a scale that f16 cannot represent fails a packed projection, naming the group")
{
    const struct wire_project packed = {.encoding = TRIT_ENCODING_PQ2_0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, 2, 256);
    float weights[512];
    struct request request;

    open_service();
    for (size_t i = 0; i < 512; i++)
        weights[i] = i >= 384 ? 1e-9F : 1;
    request = ask_project(&packed, &tensor, weights, sizeof(weights));
    refused(project_path, &request, TRIT_INVALID_ARGUMENT, "of group 3 to 0 or infinity");
    service_close(service);
}

/* ---- messages ---------------------------------------------------------------------- */

CASE(messages, "a malformed, oversized or compressed message is refused")
{
    static const uint8_t truncated[] = {0x1a, 0x05, 0x08};
    static const uint8_t huge[] = {0, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t compressed[] = {1, 0, 0, 0, 0};
    struct request request = {0};

    open_service();
    request_message(&request, truncated, sizeof(truncated), NULL, 0);
    refused(project_path, &request, TRIT_INVALID_ARGUMENT, "message");
    request_put(&request, huge, sizeof(huge));
    refused(project_path, &request, TRIT_RESOURCE_EXHAUSTED, "4294967295 bytes");
    request_put(&request, compressed, sizeof(compressed));
    refused(project_path, &request, TRIT_INTERNAL, "compressed");
    refused(project_path, &request, TRIT_UNIMPLEMENTED, "without a message");
    request_put(&request, huge, 3);
    refused(project_path, &request, TRIT_INTERNAL, "ended inside");
    request_message(&request, NULL, 0, NULL, 0);
    refused("/trit.v1.Ternary/Nothing", &request, TRIT_UNIMPLEMENTED, "Nothing");
    service_close(service);
}

CASE(second_message, "a second message in a unary request is refused")
{
    const struct wire_project plain = {0};
    struct wire_tensor tensor = tensor_2d(TRIT_F32, 1, 4);
    static const float weights[4] = {1};
    struct request request, twice = {0};

    open_service();
    request = ask_project(&plain, &tensor, weights, sizeof(weights));
    request_put(&twice, request.bytes, request.count);
    request_put(&twice, request.bytes, request.count);
    request_free(&request);
    refused(project_path, &twice, TRIT_UNIMPLEMENTED, "second message");
    service_close(service);
}

/* ---- chunks ------------------------------------------------------------------------ */

struct cut {
    uint64_t offset;
    size_t bytes;
    bool wrong_crc;
};

static struct request chunked(const struct cut *cuts, size_t count)
{
    static const float weights[16] = {1, 2, 3};
    const struct wire_project start = {.tensor = tensor_2d(TRIT_F32, 4, 4)};
    struct request request = {0};
    uint8_t head[1024];
    size_t length = encode_project_start(&start, head, sizeof(head));

    request_message(&request, head, length, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        uint32_t crc = crc32c(0, (const char *)weights + cuts[i].offset, cuts[i].bytes);

        length = encode_chunk_request(false, cuts[i].offset, crc + cuts[i].wrong_crc,
                                      cuts[i].bytes, head, sizeof(head));
        request_message(&request, head, length, (const char *)weights + cuts[i].offset,
                        cuts[i].bytes);
    }
    return request;
}

CASE(chunks, "chunks that overlap, leave a gap, are damaged or end early are refused")
{
    struct request request;

    open_service();
    request = chunked((struct cut[]){{0, 32, false}, {16, 32, false}}, 2);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT,
            "chunk.offset: 16, but the next byte expected is 32 (chunks overlap)");
    request = chunked((struct cut[]){{0, 16, false}, {32, 32, false}}, 2);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT,
            "chunk.offset: 32, but the next byte expected is 16 (bytes are missing)");
    request = chunked((struct cut[]){{0, 16, false}, {16, 48, true}}, 2);
    refused(project_stream_path, &request, TRIT_DATA_LOSS, "chunk.crc32c");
    request = chunked((struct cut[]){{0, 48, false}, {48, 16, false}, {64, 0, false}}, 3);
    request_free(&request);
    request = chunked((struct cut[]){{0, 60, false}}, 1);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT, "60 of 64 bytes");
    request = chunked(NULL, 0);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT, "0 of 64 bytes");
    service_close(service);
}

CASE(beyond_the_end, "a chunk beyond the tensor's end is refused")
{
    static const uint8_t more[80];
    struct request request;
    uint8_t head[64];
    size_t length;

    open_service();
    request = chunked((struct cut[]){{0, 64, false}}, 1);
    length = encode_chunk_request(false, 64, crc32c(0, more, 80), 80, head, sizeof(head));
    request_message(&request, head, length, more, 80);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT,
            "80 bytes at offset 64 exceed the tensor's 64");
    service_close(service);
}

CASE(start_out_of_place, "start must come first and once")
{
    const struct wire_project start = {.tensor = tensor_2d(TRIT_F32, 4, 4)};
    struct request request = {0};
    uint8_t head[1024];
    size_t length;

    open_service();
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT, "ended without it");
    length = encode_chunk_request(false, 0, 0, 4, head, sizeof(head));
    request_message(&request, head, length, "abcd", 4);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT, "must be the first");
    length = encode_project_start(&start, head, sizeof(head));
    request_message(&request, head, length, NULL, 0);
    request_message(&request, head, length, NULL, 0);
    refused(project_stream_path, &request, TRIT_INVALID_ARGUMENT, "sent twice");
    service_close(service);
}
