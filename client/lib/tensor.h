/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the caller's tensors without the daemon, and computes how many bytes each
 * encoding takes. */
#ifndef LIB_TENSOR_H
#define LIB_TENSOR_H

#include <trit.h>

#include "base/status.h"
#include "proto/codec/codec.h"

struct extent { /* of a logical shape */
    uint64_t rows, columns, elements;
};

struct encoded_size {
    uint64_t data, scales;
};

/* Checks rank and axes, and that the number of elements fits in 64 bits. `name` is for
 * messages, which have the daemon's wording: "tensor". */
int shape_check(const char *name, uint32_t rank, const uint64_t *shape,
                struct extent *extent, struct failure *failure);

/* Reads a tensor of the caller. Also INVALID_ARGUMENT: it has bytes, but no data. */
int tensor_take(const char *name, const struct trit_tensor *given,
                struct trit_tensor *tensor, struct failure *failure);

/* The same; a tensor that is read (trit_tensor.read) needs no data. */
int tensor_take_source(const char *name, const struct trit_tensor *given,
                       struct trit_tensor *tensor, struct failure *failure);

/* As shape_check; also checks that a dense tensor has as many bytes as its shape
 * needs. */
int tensor_check(const char *name, const struct trit_tensor *tensor,
                 struct extent *extent, struct failure *failure);

/* The size of a tensor in an encoding. -1 (INVALID_ARGUMENT): the encoding cannot hold
 * it. `group_size` 0: the default. Only DENSE uses `dtype`. */
int encoded_size(enum trit_encoding encoding, enum trit_dtype dtype,
                 const struct extent *extent, uint32_t group_size,
                 struct encoded_size *size, struct failure *failure);

/* Whether a stream sends latents once: not where the whole tensor has one scale. */
bool encoding_streams(enum trit_encoding encoding);

/* Whether the daemon refused a request only because the message is too large for it. */
bool message_too_large(const struct failure *failure);

/* Scales that the caller gives with encoded bytes. */
struct scales_given {
    const void *data;
    uint64_t bytes;
    enum trit_dtype dtype; /* UNSPECIFIED: that of the encoding */
};

/* Checks that the caller's encoded tensor has the bytes and scales that the encoding
 * needs. */
int encoded_check(const char *name, const struct trit_tensor *tensor,
                  enum trit_encoding encoding, uint32_t group_size,
                  const struct scales_given *scales, struct extent *extent,
                  struct failure *failure);

struct wire_tensor tensor_wire(const struct trit_tensor *tensor);

/* `field` names the struct. NULL, or a run NULL or "": no layer. -1: a name is longer
 * than TRIT_NAME_BYTES_MAX, or the shard is invalid. */
int layer_wire(const char *field, const struct trit_layer_ref *layer,
               struct wire_layer_ref *wire, struct failure *failure);

/* Copies a name into a bounded field of a request. NULL is "". */
int name_copy(const char *field, const char *name, char out[TRIT_NAME_BYTES_MAX + 1],
              struct failure *failure);
/* The same for a required name: NULL is INVALID_ARGUMENT. */
int name_take(const char *field, const char *name, char out[TRIT_NAME_BYTES_MAX + 1],
              struct failure *failure);

#endif
