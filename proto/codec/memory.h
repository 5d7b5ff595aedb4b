/* SPDX-License-Identifier: Apache-2.0 */
/* The packets of the memory socket (trit/v1/memory.proto). */
#ifndef CODEC_MEMORY_H
#define CODEC_MEMORY_H

#include "proto/codec/codec.h"

enum { MEMORY_PACKET_BYTES_MAX = 1152 };

struct wire_memory_request {
    uint64_t sequence;
    uint64_t register_bytes; /* 0: absent */
    bool releases;
    uint8_t release[REGION_BUFFER_BYTES]; /* an id of another length is all zero */
};

struct wire_memory_reply {
    uint64_t sequence;
    uint32_t status;
    char message[TRIT_MESSAGE_BYTES_MAX + 1];
    uint8_t buffer[REGION_BUFFER_BYTES];
};

/* As the other functions of the codec. MEMORY_PACKET_BYTES_MAX holds every packet. */
size_t encode_memory_request(const struct wire_memory_request *request, uint8_t *out,
                             size_t capacity);
int decode_memory_request(const uint8_t *bytes, size_t count,
                          struct wire_memory_request *out, char error[CODEC_ERROR_BYTES]);
size_t encode_memory_reply(const struct wire_memory_reply *reply, uint8_t *out,
                           size_t capacity);
int decode_memory_reply(const uint8_t *bytes, size_t count, struct wire_memory_reply *out,
                        char error[CODEC_ERROR_BYTES]);

#endif
