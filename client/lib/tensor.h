/* Tensors as the caller described them: checked without the daemon, and how
 * many bytes each encoding of them takes. */
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

/* Rank and axes; the count of elements fits. `name`: "tensor", for
 * messages, which are worded as the daemon's. */
int shape_check(const char *name, uint32_t rank, const uint64_t *shape,
                struct extent *extent, struct failure *failure);

/* As above, and the bytes of a dense tensor are as many as the shape says. */
int tensor_check(const char *name, const struct trit_tensor *tensor,
                 struct extent *extent, struct failure *failure);

/* The size of a tensor in an encoding; INVALID_ARGUMENT where it cannot hold it.
 * `group_size` 0 = the default; `dtype` counts for DENSE. */
int encoded_size(enum trit_encoding encoding, enum trit_dtype dtype,
                 const struct extent *extent, uint32_t group_size,
                 struct encoded_size *size, struct failure *failure);

/* Whether a tensor may come in pieces: not where one scale is that of all of it. */
bool encoding_streams(enum trit_encoding encoding);

/* Scales that came beside encoded bytes. */
struct scales_given {
    uint64_t bytes;
    enum trit_dtype dtype; /* UNSPECIFIED: that of the encoding */
};

/* Encoded bytes handed in: as many as the encoding takes, scales included. */
int encoded_check(const char *name, const struct trit_tensor *tensor,
                  enum trit_encoding encoding, uint32_t group_size,
                  const struct scales_given *scales, struct extent *extent,
                  struct failure *failure);

struct wire_tensor tensor_wire(const struct trit_tensor *tensor);

/* run NULL or "" = absent. -1: a name longer than TRIT_NAME_BYTES_MAX. */
int layer_wire(const struct trit_layer_ref *layer, struct wire_layer_ref *wire,
               struct failure *failure);

/* Copies a name into a bounded field of a request. */
int name_copy(const char *field, const char *name, char out[TRIT_NAME_BYTES_MAX + 1],
              struct failure *failure);

#endif
