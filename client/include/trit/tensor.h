/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors that the caller gives, and tensors that a call gives. Row-major,
 * little-endian; the last axis is the one that groups lie along. */
#ifndef TRIT_TENSOR_H
#define TRIT_TENSOR_H

#include <trit/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Copies `bytes` bytes from byte `offset` of a tensor to `to`. Called from the thread that
 * made the call, from front to back. A call that is tried again, or that reads twice, starts
 * from 0. Other than 0 ends the call (ABORTED). */
typedef int (*trit_read)(void *arg, uint64_t offset, void *to, uint64_t bytes);

/* Takes the next bytes of a result, which belong at byte `offset` of it. Called from the
 * thread that made the call, from front to back, each byte once; after a failure of the
 * call they have no meaning. Other than 0 ends the call (ABORTED). */
typedef int (*trit_write)(void *arg, uint64_t offset, const void *from, uint64_t bytes);

/* A tensor of the caller, borrowed until the call returns. */
struct trit_tensor {
    size_t size;
    enum trit_dtype dtype;
    uint32_t rank; /* axes, 1 to TRIT_RANK_MAX */
    uint64_t shape[TRIT_RANK_MAX];
    const void *data; /* any alignment */
    uint64_t bytes;   /* of data */
    /* Gives the bytes where `data` is NULL, in pieces of at most 1 MiB, so that the tensor
     * need not be in memory. trit_project, trit_verify (for tensor and reference),
     * trit_pack and trit_layer_load (for the weight) accept it; such tensors are streamed,
     * whatever the size. Where trit_project writes I2_S or HF_BITNET, or
     * trit_verify compares it with latents, the latents are read twice: the first time gives
     * their one scale. */
    trit_read read;
    void *read_arg; /* first argument of `read` */
};
#define TRIT_TENSOR_INIT TRIT_INIT(trit_tensor)

/* A tensor that a call gives. The caller owns `data` and releases it with
 * trit_array_free, or with trit_free. data NULL: there is none. */
struct trit_array {
    size_t size;
    enum trit_dtype dtype;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
    void *data;
    uint64_t bytes;
};
#define TRIT_ARRAY_INIT TRIT_INIT(trit_array)

/* Releases the data and makes the array empty. NULL is harmless. */
TRIT_API void trit_array_free(struct trit_array *array);

#ifdef __cplusplus
}
#endif

#endif
