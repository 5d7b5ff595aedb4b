/* SPDX-License-Identifier: Apache-2.0 */
/* Writes protobuf fields one after another, as nanopb does: in the order of their numbers,
 * implicit fields of proto3 only where they are not zero. It needs no struct of the
 * message and no second pass for lengths, so it is several times quicker. */
#ifndef CODEC_PUT_H
#define CODEC_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct put {
    uint8_t *at, *end;
    bool full; /* something did not fit; what is written is worth nothing */
};

/* A number 0 is the implicit default: it is not written. */
void put_u64(struct put *put, uint32_t number, uint64_t value);
void put_f64(struct put *put, uint32_t number, double value);

/* Optional fields that are present: written whatever their value. */
void put_present_u64(struct put *put, uint32_t number, uint64_t value);
void put_present_f64(struct put *put, uint32_t number, double value);
void put_present_f32(struct put *put, uint32_t number, float value);

/* Not written if empty. The text is cut after `bytes_max`. */
void put_text(struct put *put, uint32_t number, const char *text, size_t bytes_max);
void put_bytes(struct put *put, uint32_t number, const void *bytes, size_t count);

/* Packed; not written if empty. */
void put_u64s(struct put *put, uint32_t number, const uint64_t *values, size_t count);
void put_f32s(struct put *put, uint32_t number, const float *values, size_t count);

/* Tag and length of a `bytes` field whose bytes the caller sends; nothing for none. */
void put_blob_head(struct put *put, uint32_t number, uint64_t bytes);

/* An inner message: what is put between the two calls. */
uint8_t *put_message_begin(struct put *put, uint32_t number);
void put_message_end(struct put *put, uint8_t *begin);

#endif
