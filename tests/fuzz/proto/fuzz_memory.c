/* SPDX-License-Identifier: Apache-2.0 */
/* The packets of the memory socket: each is accepted, or the error names what is wrong
 * (decoders.h). They come from other processes, outside of gRPC. */
#include "decoders.h"

#include "proto/codec/memory.h"

static bool request(const struct scan_part *in, struct encoded *out)
{
    struct wire_memory_request found;
    if (!accepted(decode_memory_request(in->bytes, in->count, &found, error)))
        return false;
    out->count = encode_memory_request(&found, out->bytes, MEMORY_PACKET_BYTES_MAX);
    return true;
}

static bool reply(const struct scan_part *in, struct encoded *out)
{
    struct wire_memory_reply found;
    if (!accepted(decode_memory_reply(in->bytes, in->count, &found, error)))
        return false;
    assert(memchr(found.message, '\0', sizeof(found.message)));
    out->count = encode_memory_reply(&found, out->bytes, MEMORY_PACKET_BYTES_MAX);
    assert(out->count > 0);
    return true;
}

static decoder *const decoders[] = {request, reply};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoders(decoders, sizeof(decoders) / sizeof(*decoders), data, size);
}

#include "replay.h"
