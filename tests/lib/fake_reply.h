/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of gRPC replies, put together for fake_server. */
#ifndef TESTS_FAKE_REPLY_H
#define TESTS_FAKE_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "trit/types.h"

struct fake_reply { /* grows; whole gRPC messages */
    uint8_t *bytes;
    size_t count, capacity;
};

void fake_reply_free(struct fake_reply *reply);
void fake_reply_raw(struct fake_reply *reply, const void *bytes, size_t count);
/* A message: its prefix, `head`, `tail`. */
void fake_reply_message(struct fake_reply *reply, const void *head, size_t head_bytes,
                        const void *tail, size_t tail_bytes);

/* grpc-status-details-bin of an error with the message "no". */
enum { FAKE_DETAILS_BYTES = 700 };
void fake_details(enum trit_status status, const char *field,
                  char text[FAKE_DETAILS_BYTES]);

/* ProjectResponse. `report` may be NULL. */
void fake_reply_projected(struct fake_reply *reply, const struct trit_report *report,
                          enum trit_encoding encoding, const uint64_t shape[2],
                          const void *scales, size_t scale_bytes, const void *data,
                          size_t data_bytes);
/* ProjectStreamResponse: `count` bytes in chunks; their report. */
void fake_reply_chunks(struct fake_reply *reply, int scales, const void *data,
                       size_t count, size_t chunk_bytes);
void fake_reply_chunk(struct fake_reply *reply, int scales, uint64_t offset,
                      uint32_t crc32c, const void *data, size_t count);
void fake_reply_stream_report(struct fake_reply *reply, const struct trit_report *report);
/* VerifyResponse. */
void fake_reply_verified(struct fake_reply *reply, const struct trit_report *report);

/* A report with this many elements, none of its fields absurd. */
struct trit_report fake_report(uint64_t elements);

#endif
