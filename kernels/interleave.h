/* SPDX-License-Identifier: Apache-2.0 */
/* HF_BITNET: the one order whose block is the whole tensor. Element i of n, a multiple of
 * 4, is in byte i % (n/4), bits 2 (i / (n/4)). In a matrix [out, in] the rows r, r +
 * out/4, r + out/2 and r + 3 out/4 share the bytes of row r. The kernels do not know this
 * order: their output is interleaved here, and their input is separated here. These are
 * loops over bytes, the same for every ISA. */
#ifndef KERNELS_INTERLEAVE_H
#define KERNELS_INTERLEAVE_H

#include <stddef.h>
#include <stdint.h>

enum { INTERLEAVED = 4 /* elements in a byte, one from each plane */ };

/* `codes` as in ternarize_job, of one group of `elements`; `out`: elements / 4 bytes. */
void interleave(const uint8_t *codes, size_t elements, uint8_t *out);

/* Back to t as in INT8, one byte for each element; code 3 becomes +2. */
void part_interleaved(const uint8_t *in, size_t elements, int8_t *t);

#endif
