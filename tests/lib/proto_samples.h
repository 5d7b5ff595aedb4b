/* SPDX-License-Identifier: Apache-2.0 */
/* What the messages of vectors.h hold, as the codec's structs. */
#ifndef TESTS_LIB_PROTO_SAMPLES_H
#define TESTS_LIB_PROTO_SAMPLES_H

#include "proto/codec/codec.h"

static const uint8_t sample_data[24] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
                                        12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
static const uint8_t sample_latents[12] = {255, 254, 253, 252, 251, 250,
                                           249, 248, 247, 246, 245, 244};
static const float sample_scales[3] = {0.5f, 0.25f, 1.5f};
static const uint32_t sample_crc = 0x01020304;

struct wire_layer_ref sample_layer(void);
struct wire_tensor sample_tensor(uint32_t dtype);
struct wire_region sample_region(void);
struct trit_report sample_report(void);

/* Fail the case on any difference; doubles bit for bit. */
void check_layer(const struct wire_layer_ref *a, const struct wire_layer_ref *b);
void check_tensor(const struct wire_tensor *a, const struct wire_tensor *b);
void check_report(const struct trit_report *a, const struct trit_report *b);

/* A message put together from encoded heads and bulk bytes. */

struct assembled {
    size_t count;
    uint8_t bytes[16384];
};

void assemble(struct assembled *message, const void *bytes, size_t count);
void check_assembled(const struct assembled *message, const uint8_t *expected,
                     size_t count);

#endif
