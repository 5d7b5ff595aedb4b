/* SPDX-License-Identifier: Apache-2.0 */
/* HF_BITNET: the only encoding whose block is the whole tensor. Element i of n (n is a
 * multiple of 4) is stored in byte i % (n/4), in the two bits from bit 2 (i / (n/4)) on.
 * In a matrix [out, in] the rows r, r + out/4, r + out/2 and r + 3 out/4 share the bytes
 * of row r. The kernels do not use this order. These functions convert their output to it
 * and their input from it, with loops over bytes that are the same for every ISA. */
#ifndef KERNELS_INTERLEAVE_H
#define KERNELS_INTERLEAVE_H

#include <stddef.h>
#include <stdint.h>

enum { INTERLEAVED = 4 /* elements in a byte, one from each quarter of the tensor */ };

/* Interleaves `codes`, which are one group of `elements` as in ternarize_job. `out` gets
 * elements / 4 bytes. */
void interleave(const uint8_t *codes, size_t elements, uint8_t *out);

/* The reverse. Writes t as INT8 does, one byte per element; code 3 becomes +2. */
void deinterleave(const uint8_t *in, size_t elements, int8_t *t);

/* The same for the elements [first, first + count) alone. */
void deinterleave_part(const uint8_t *in, size_t elements, size_t first, size_t count,
                       int8_t *t);

#endif
