#include "client/lib/tensor.h"

#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "kernels/kernels.h"

typedef unsigned long long ull; /* what printf wants */

int shape_check(const char *field, uint32_t rank, const uint64_t *shape,
                struct extent *extent, struct failure *failure)
{
    struct extent found = {.rows = 1, .elements = 1};

    if (rank < 1 || rank > TRIT_RANK_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, field,
                    "%s.shape: rank %u is not 1 to %d", field, rank, (int)TRIT_RANK_MAX);
    for (uint32_t axis = 0; axis < rank; axis++) {
        if (shape[axis] == 0)
            return fail(failure, TRIT_INVALID_ARGUMENT, field, "%s.shape: axis %u is 0",
                        field, axis);
        found.rows = found.elements;
        if (mul_overflows(found.elements, shape[axis], &found.elements))
            return fail(failure, TRIT_INVALID_ARGUMENT, field,
                        "%s.shape: the product of the axes overflows", field);
    }
    found.columns = shape[rank - 1];
    *extent = found;
    return 0;
}

static int count_check(const char *field, uint64_t have, uint64_t want,
                       struct failure *failure)
{
    if (have == want)
        return 0;
    return fail(failure, TRIT_INVALID_ARGUMENT, field,
                "%s: %llu bytes where the shape asks for %llu", field, (ull)have,
                (ull)want);
}

static int dense_bytes(const char *field, enum trit_dtype dtype,
                       const struct extent *extent, uint64_t *bytes,
                       struct failure *failure)
{
    size_t element = dtype_bytes(dtype);

    if (element == 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "dtype",
                    "%s.dtype: %d is no element type", field, (int)dtype);
    if (mul_overflows(extent->elements, element, bytes))
        return fail(failure, TRIT_INVALID_ARGUMENT, field,
                    "%s.shape: the product of the axes and the element size overflows",
                    field);
    return 0;
}

int tensor_check(const char *field, const struct trit_tensor *tensor,
                 struct extent *extent, struct failure *failure)
{
    struct extent found;
    uint64_t bytes = 0;

    if (shape_check(field, tensor->rank, tensor->shape, &found, failure) != 0 ||
        dense_bytes(field, tensor->dtype, &found, &bytes, failure) != 0 ||
        count_check(field, tensor->bytes, bytes, failure) != 0)
        return -1;
    *extent = found;
    return 0;
}

/* ---- encodings ------------------------------------------------------------------ */

static int scales_size(const struct encoding_layout *layout, const struct extent *extent,
                       uint32_t group_size, uint64_t *bytes)
{
    uint64_t groups;

    if (mul_overflows(extent->rows, div_up(extent->columns, group_size), &groups))
        return -1;
    switch (layout->scales) {
    case SCALES_FOLDED:
    case SCALES_IN_BLOCK:
        *bytes = 0;
        return 0;
    case SCALES_F32:
        return mul_overflows(groups, 4, bytes) ? -1 : 0;
    case SCALES_F16:
        return mul_overflows(groups, 2, bytes) ? -1 : 0;
    case SCALES_TENSOR:
        *bytes = 4;
        return 0;
    }
    return -1;
}

int encoded_size(enum trit_encoding encoding, enum trit_dtype dtype,
                 const struct extent *extent, uint32_t group_size,
                 struct encoded_size *size, struct failure *failure)
{
    const struct encoding_layout *layout = encoding_layout(encoding);
    struct encoded_size found = {0, 0};

    if (!layout)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "encoding: %d is no encoding", (int)encoding);
    if (!layout->supported)
        return fail(failure, TRIT_UNIMPLEMENTED, "encoding",
                    "encoding: %s is not part of this build", encoding_name(encoding));
    if (extent->columns % layout->block_elements != 0)
        return fail(
            failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
            "tensor.shape: rows of %llu elements are no multiple of the %u of a %s block",
            (ull)extent->columns, layout->block_elements, encoding_name(encoding));
    if (layout->block_bytes == 0) {
        if (dense_bytes("tensor", dtype, extent, &found.data, failure) != 0)
            return -1;
    } else if (mul_overflows(extent->elements / layout->block_elements,
                             layout->block_bytes, &found.data)) {
        return fail(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                    "tensor.shape: the encoded size overflows");
    }
    if (scales_size(layout, extent, group_size ? group_size : GROUP_SIZE_DEFAULT,
                    &found.scales) != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "tensor.shape",
                    "tensor.shape: the size of the scales overflows");
    *size = found;
    return 0;
}

int encoded_check(const char *field, const struct trit_tensor *tensor,
                  enum trit_encoding encoding, uint32_t group_size, uint64_t scale_bytes,
                  struct extent *extent, struct failure *failure)
{
    struct encoded_size size;
    struct extent found;

    if (shape_check(field, tensor->rank, tensor->shape, &found, failure) != 0 ||
        encoded_size(encoding, tensor->dtype, &found, group_size, &size, failure) != 0 ||
        count_check(field, tensor->bytes, size.data, failure) != 0 ||
        count_check("scales", scale_bytes, size.scales, failure) != 0)
        return -1;
    *extent = found;
    return 0;
}

/* ---- on the wire ------------------------------------------------------------------ */

struct wire_tensor tensor_wire(const struct trit_tensor *tensor)
{
    struct wire_tensor wire = {.dtype = (uint32_t)tensor->dtype, .rank = tensor->rank};

    memcpy(wire.shape, tensor->shape, sizeof wire.shape);
    return wire;
}

int name_copy(const char *field, const char *name, char out[TRIT_NAME_BYTES_MAX + 1],
              struct failure *failure)
{
    size_t length = name ? strlen(name) : 0;

    if (length > TRIT_NAME_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, field,
                    "%s: %zu bytes are more than %d", field, length,
                    (int)TRIT_NAME_BYTES_MAX);
    memcpy(out, name ? name : "", length + 1);
    return 0;
}

int layer_wire(const struct trit_layer_ref *layer, struct wire_layer_ref *wire,
               struct failure *failure)
{
    struct wire_layer_ref made = {.present = layer->run && *layer->run,
                                  .step = layer->step};

    if (made.present &&
        (name_copy("layer.run", layer->run, made.run, failure) != 0 ||
         name_copy("layer.layer", layer->layer, made.layer, failure) != 0))
        return -1;
    *wire = made;
    return 0;
}
