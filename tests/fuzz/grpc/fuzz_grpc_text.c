/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed messages and metadata. A message decompresses to the same bytes however its
 * compressed bytes are cut; what was compressed comes back; base64 comes back. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "grpc/compression.h"
#include "grpc/metadata.h"
#include "proto/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_BYTES_MAX = 1 << 20 };

struct outcome {
    uint64_t hash, bytes;
    bool failed, done;
};

static struct outcome inflate_all(enum coding coding, const uint8_t *data, size_t size,
                                  size_t cut, size_t capacity)
{
    struct inflater *inflater = inflater_create(coding, NULL);
    struct outcome outcome = {0};
    uint8_t out[4096];

    assert(inflater);
    inflater_begin(inflater);
    for (size_t at = 0; at < size && !outcome.failed;) {
        const uint8_t *bytes = data + at;
        size_t count = size - at < cut ? size - at : cut, left = count;

        while ((left > 0 || inflater_pending(inflater)) && !outcome.failed &&
               outcome.bytes < OUT_BYTES_MAX) {
            size_t produced;

            outcome.failed =
                inflater_step(inflater, &bytes, &left, out, capacity, &produced) < 0;
            for (size_t i = 0; i < produced; i++)
                outcome.hash = (outcome.hash ^ out[i]) * UINT64_C(0x100000001b3);
            outcome.bytes += produced;
        }
        at += count;
        if (outcome.bytes >= OUT_BYTES_MAX)
            break;
    }
    outcome.done = inflater_done(inflater);
    inflater_destroy(inflater);
    return outcome;
}

static void check_inflate(enum coding coding, const uint8_t *data, size_t size)
{
    struct outcome whole = inflate_all(coding, data, size, size + 1, 4096);
    struct outcome cut = inflate_all(coding, data, size, 3, 4096);

    if (whole.bytes >= OUT_BYTES_MAX || whole.failed || cut.failed) {
        assert(whole.failed == cut.failed || whole.bytes >= OUT_BYTES_MAX);
        return;
    }
    assert(whole.hash == cut.hash && whole.bytes == cut.bytes && whole.done == cut.done);
}

static void check_compress(enum coding coding, const uint8_t *data, size_t size)
{
    size_t capacity = size + 1024, used;
    uint8_t *packed = malloc(capacity);
    struct outcome plain = {0}, back;

    assert(packed);
    used = compress_bytes(coding, NULL, data, size, packed, capacity);
    assert(used > 0);
    for (size_t i = 0; i < size; i++)
        plain.hash = (plain.hash ^ data[i]) * UINT64_C(0x100000001b3);
    back = inflate_all(coding, packed, used, 7, 100);
    assert(back.done && !back.failed && back.bytes == size && back.hash == plain.hash);
    free(packed);
}

static void check_metadata(const uint8_t *data, size_t size)
{
    char *text = malloc(2 * size + 8);
    uint8_t *bytes = malloc(2 * size + 8);
    ptrdiff_t count;

    assert(text && bytes);
    memcpy(text, data, size);
    text[size] = '\0';
    const struct h2_header fields[] = {{"x-data-bin", text, 10, strlen(text)},
                                       {"grpc-accept-encoding", text, 20, strlen(text)}};
    const struct request_headers headers = {fields, 2};

    assert(coding_choose(text) != CODING_UNKNOWN);
    coding_parse(text);
    metadata_text(&headers, "grpc-accept-encoding");
    count = metadata_binary(&headers, "x-data-bin", bytes, 2 * size + 8);
    assert(count <= (ptrdiff_t)size);
    base64_encode(data, size, text);
    assert(strlen(text) == base64_chars(size));
    count = base64_decode(text, strlen(text), bytes, size);
    assert(count == (ptrdiff_t)size && memcmp(bytes, data, size) == 0);
    free(text);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536 || size == 0)
        return 0;
    check_inflate(CODING_GZIP, data, size);
    check_inflate(CODING_DEFLATE, data, size);
    check_compress(size % 2 ? CODING_GZIP : CODING_DEFLATE, data, size);
    check_metadata(data, size);
    return 0;
}
