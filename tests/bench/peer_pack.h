/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's kernel for peers that are not written in C: f32 to PQ2_0, by groups of 128. */
#ifndef BENCH_PEER_PACK_H
#define BENCH_PEER_PACK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes of the result of `bytes` bytes of f32, which are whole groups. */
size_t peer_packed_bytes(size_t bytes);
void peer_pack(const void *in, size_t bytes, void *out);

#ifdef __cplusplus
}
#endif
#endif
