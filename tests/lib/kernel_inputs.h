/* SPDX-License-Identifier: Apache-2.0 */
/* Input for the kernels' tests: kinds of numbers that have broken kernels before,
 * in each element type, and buffers whose edges are watched. */
#ifndef TESTS_LIB_KERNEL_INPUTS_H
#define TESTS_LIB_KERNEL_INPUTS_H

#include <stdint.h>

#include "kernels/kernels.h"

enum input_kind {
    INPUT_PLAIN,
    INPUT_THRESHOLD, /* within 3 ulp of s/2, either side */
    INPUT_LOW,       /* the smallest magnitude there is */
    INPUT_HIGH,      /* the largest */
    INPUT_SUBNORMAL,
    INPUT_HUGE,
    INPUT_ZEROS, /* of both signs, a few others among them */
    INPUT_MIXED, /* any finite bits */
    INPUT_TERNARY,
    INPUT_NEARLY_TERNARY,
    INPUT_LONE,       /* one element a group, the others are 0 */
    INPUT_TINY,       /* about where 2^23 divided by half of the scale is beyond f32 */
    INPUT_NON_FINITE, /* plain, with some NaN and infinities */
    INPUT_KINDS,
};

float input_uniform(uint64_t *seed);
uint32_t input_bits(float value);
float input_float(uint32_t bits);
void input_fill(void *to, enum trit_dtype dtype, enum input_kind kind, size_t count,
                size_t len, uint64_t *seed);

/* Bytes at any misalignment, with watched bytes before and after. */
enum { EDGE_BYTES = 64, EDGE_VALUE = 0xa5 };

struct guarded {
    uint8_t *block;
    uint8_t *bytes;
    size_t count;
};

struct guarded guarded_create(size_t count, size_t misalignment);

/* Frees the buffer; the case fails where its edges were written to. */
void guarded_destroy(struct guarded *buffer);

#endif
