/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers of decoders share: whatever a decoder accepts is encoded, and
 * decoded again gives the same bytes.
 *
 * Input: the decoder's number, then the small fields (a part) or the whole message. */
#ifndef FUZZ_DECODERS_H
#define FUZZ_DECODERS_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/codec/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char error[CODEC_ERROR_BYTES];

/* What a re-encoded message comes to. */
struct encoded {
    uint8_t bytes[4096];
    size_t count;
};

/* Decodes `in` and encodes it again; false where it is refused. */
typedef bool decoder(const struct scan_part *in, struct encoded *out);

/* A decoder is right when a refusal has words. */
static inline bool accepted(int result)
{
    assert(result == 0 || (result == -1 && error[0] != '\0'));
    return result == 0;
}

static inline void strip_prefix(struct encoded *message, size_t bytes)
{
    assert(message->count >= bytes);
    memmove(message->bytes, message->bytes + bytes, message->count - bytes);
    message->count -= bytes;
}

/* Takes the tag and length of an enclosing message's only field off. */
static inline void unwrap(struct encoded *message)
{
    size_t at = 1;
    while (message->bytes[at] & 0x80)
        at++;
    strip_prefix(message, at + 1);
}

/* One input to one of the decoders. */
static inline int fuzz_decoders(decoder *const *decoders, size_t decoder_count,
                                const uint8_t *data, size_t size)
{
    if (size < 1 || size > SCAN_PART_BYTES_MAX)
        return 0;
    decoder *decode = decoders[data[0] % decoder_count];
    struct scan_part in = {.bytes = malloc(size), .count = size - 1};
    struct encoded first, second;
    assert(in.bytes);
    memcpy(in.bytes, data + 1, size - 1);
    error[0] = '\0';
    bool good = decode(&in, &first);
    free(in.bytes);
    if (!good)
        return 0;
    struct scan_part again = {.bytes = first.bytes, .count = first.count};
    good = decode(&again, &second);
    assert(good && first.count == second.count);
    assert(memcmp(first.bytes, second.bytes, first.count) == 0);
    return 0;
}

#endif
