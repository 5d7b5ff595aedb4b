/* SPDX-License-Identifier: Apache-2.0 */
/* HF_BITNET: the one order whose block is the tensor. Of n elements, a multiple of 4,
 * element i stands in byte i % (n/4), bits 2 (i / (n/4)); of a matrix [out, in] the rows
 * r, r + out/4, r + out/2 and r + 3 out/4 share the bytes of row r. The kernels know
 * nothing of it: what they make is interleaved here, what they read is parted here.
 * Loops over bytes, the same for every ISA. */
#ifndef KERNELS_INTERLEAVE_H
#define KERNELS_INTERLEAVE_H

#include <stddef.h>
#include <stdint.h>

enum { INTERLEAVED = 4 /* elements, of as many planes, in a byte */ };

/* `codes` as in ternarize_job, of one group of `elements`; `out`: elements / 4 bytes. */
void interleave(const uint8_t *codes, size_t elements, uint8_t *out);

/* Back to t as INT8 has it, one byte an element; code 3 is +2. */
void part_interleaved(const uint8_t *in, size_t elements, int8_t *t);

#endif
