/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/asks.h"

#include <string.h>

#include "kernels/kernels.h"
#include "proto/framing.h"
#include "tests/lib/check.h"

struct wire_tensor tensor_2d(enum trit_dtype dtype, uint64_t rows, uint64_t columns)
{
    return (struct wire_tensor){.dtype = dtype, .rank = 2, .shape = {rows, columns}};
}

struct wire_layer_ref layer_ref(const char *run, const char *layer, uint64_t step)
{
    struct wire_layer_ref ref = {.present = true, .step = step};

    strcpy(ref.run, run);
    strcpy(ref.layer, layer);
    return ref;
}

struct request ask_project(const struct wire_project *project,
                           const struct wire_tensor *tensor, const void *data,
                           size_t bytes)
{
    struct request request = {0};
    uint8_t head[2048];
    size_t count = encode_project(project, tensor, bytes, head, sizeof(head));

    CHECK(count > 0);
    request_message(&request, head, count, data, bytes);
    return request;
}

struct request ask_project_stream(const struct wire_project *start, const void *data,
                                  size_t bytes, size_t chunk)
{
    struct request request = {0};
    uint8_t head[2048];
    size_t count = encode_project_start(start, head, sizeof(head));

    CHECK(count > 0);
    request_message(&request, head, count, NULL, 0);
    for (size_t at = 0; at < bytes; at += chunk) {
        size_t part = bytes - at < chunk ? bytes - at : chunk;

        count = encode_chunk_request(false, at, crc32c(0, (const char *)data + at, part),
                                     part, head, sizeof(head));
        request_message(&request, head, count, (const char *)data + at, part);
    }
    return request;
}

struct request ask_verify(const struct wire_verify *verify,
                          const struct wire_tensor *reference, const void *reference_data,
                          const struct wire_tensor *tensor, const void *data,
                          size_t bytes)
{
    struct request request = {0};
    size_t reference_bytes = reference ? bytes : 0, cut[2];
    uint8_t head[2048], prefix[5];
    size_t count = encode_verify(verify, 0, reference, reference_bytes, tensor, bytes,
                                 head, sizeof(head), cut);

    CHECK(count > 0);
    frame_prefix(prefix, (uint32_t)(count + reference_bytes + bytes));
    request_put(&request, prefix, sizeof(prefix));
    request_put(&request, head, cut[1]);
    request_put(&request, reference_data, reference_bytes);
    request_put(&request, head + cut[1], count - cut[1]);
    request_put(&request, data, bytes);
    return request;
}

void ask(struct service *service, struct exchange *exchange, const char *path,
         struct request *request, size_t cut)
{
    exchange_begin(service_connection(service), exchange, path, request, cut, false,
                   NULL);
    exchange_finish(exchange);
    request_free(request);
}

void random_weights(float *weights, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t r = check_random(&seed);

        weights[i] = (float)((double)(r >> 11) / (double)(1ull << 53) - 0.5);
        if (r % 97 == 0)
            weights[i] = 0;
    }
}
