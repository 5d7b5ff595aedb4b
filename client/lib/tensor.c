/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/tensor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "client/lib/sized.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"
#include "proto/names.h"

enum { SHAPE_TEXT_BYTES = TRIT_RANK_MAX * 22 + 2 }; /* 20 digits and ", " an axis */

/* "[2, 3]", as the daemon writes it. */
static const char *shape_text(uint32_t rank, const uint64_t *shape,
                              char text[SHAPE_TEXT_BYTES])
{
    size_t at = 0;

    for (uint32_t axis = 0; axis < rank; axis++)
        at += (size_t)snprintf(text + at, SHAPE_TEXT_BYTES - at, "%s%" PRIu64,
                               axis ? ", " : "[", shape[axis]);
    snprintf(text + at, SHAPE_TEXT_BYTES - at, "]");
    return text;
}

/* Fills a failure about `part` of the tensor called `name`. */
static int invalid(struct failure *failure, const char *name, const char *part,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
static int invalid(struct failure *failure, const char *name, const char *part,
                   const char *format, ...)
{
    char field[sizeof(failure->field)], text[TRIT_MESSAGE_BYTES_MAX + 1];
    va_list args;

    snprintf(field, sizeof(field), "%s.%s", name, part);
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field, "%s", text);
}

int shape_check(const char *name, uint32_t rank, const uint64_t *shape,
                struct extent *extent, struct failure *failure)
{
    struct extent found = {.rows = 1, .elements = 1};
    char text[SHAPE_TEXT_BYTES];

    if (rank == 0)
        return invalid(failure, name, "shape", "rank 0, at least 1 is needed");
    if (rank > TRIT_RANK_MAX)
        return invalid(failure, name, "shape", "rank %u is above %d", rank,
                       (int)TRIT_RANK_MAX);
    for (uint32_t axis = 0; axis < rank; axis++)
        if (shape[axis] == 0)
            return invalid(failure, name, "shape", "%s is an empty tensor, axis %u is 0",
                           shape_text(rank, shape, text), axis);
    for (uint32_t axis = 0; axis < rank; axis++) {
        found.rows = found.elements;
        if (mul_overflows(found.elements, shape[axis], &found.elements))
            return invalid(failure, name, "shape", "product of %s overflows 64 bits",
                           shape_text(rank, shape, text));
    }
    found.columns = shape[rank - 1];
    *extent = found;
    return 0;
}

static int count_check(const char *name, uint64_t have, uint64_t want,
                       struct failure *failure)
{
    if (have == want)
        return 0;
    return invalid(failure, name, "data",
                   "%" PRIu64 " bytes, but the shape needs %" PRIu64, have, want);
}

static int dense_bytes(const char *name, enum trit_dtype dtype,
                       const struct extent *extent, uint64_t *bytes,
                       struct failure *failure)
{
    size_t element = dtype_bytes(dtype);

    if (element == 0)
        return invalid(failure, name, "dtype",
                       "%d is not f32 (%d), f16 (%d) or bf16 (%d)", (int)dtype, TRIT_F32,
                       TRIT_F16, TRIT_BF16);
    if (mul_overflows(extent->elements, element, bytes))
        return invalid(failure, name, "shape",
                       "bytes of %" PRIu64 " elements as %s overflow 64 bits",
                       extent->elements, dtype_name(dtype));
    return 0;
}

int tensor_take(const char *name, const struct trit_tensor *given,
                struct trit_tensor *tensor, struct failure *failure)
{
    if (sized_take(&sized_tensor, name, given, tensor, failure) < 0)
        return -1;
    if (tensor->bytes && !tensor->data)
        return invalid(failure, name, "data", "is NULL");
    return 0;
}

int tensor_take_source(const char *name, const struct trit_tensor *given,
                       struct trit_tensor *tensor, struct failure *failure)
{
    if (sized_take(&sized_tensor, name, given, tensor, failure) < 0)
        return -1;
    if (tensor->bytes && !tensor->data && !tensor->read)
        return invalid(failure, name, "data", "is NULL");
    return 0;
}

int tensor_check(const char *name, const struct trit_tensor *tensor,
                 struct extent *extent, struct failure *failure)
{
    struct extent found;
    uint64_t bytes = 0;

    if (shape_check(name, tensor->rank, tensor->shape, &found, failure) < 0 ||
        dense_bytes(name, tensor->dtype, &found, &bytes, failure) < 0 ||
        count_check(name, tensor->bytes, bytes, failure) < 0)
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
        *bytes = layout->tail_bytes ? 0 : 4;
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
    uint64_t row; /* its elements are whole blocks */

    if (!layout)
        return invalid(failure, "options", "encoding", "%d is unknown", (int)encoding);
    row = encoding_streams(encoding) ? extent->columns : extent->elements;
    if (layout->interleaved && extent->rows % INTERLEAVED != 0)
        return invalid(failure, "tensor", "shape",
                       "%" PRIu64 " row%s, %s needs a multiple of %d", extent->rows,
                       extent->rows == 1 ? "" : "s", encoding_name(encoding),
                       INTERLEAVED);
    if (row % layout->block_elements != 0)
        return invalid(failure, "tensor", "shape",
                       "rows of %" PRIu64
                       " elements are not a multiple of the %u of a %s block",
                       row, layout->block_elements, encoding_name(encoding));
    if (layout->block_bytes == 0) {
        if (dense_bytes("tensor", dtype, extent, &found.data, failure) < 0)
            return -1;
    } else if (mul_overflows(extent->elements / layout->block_elements,
                             layout->block_bytes, &found.data) ||
               add_overflows(found.data, layout->tail_bytes, &found.data)) {
        return invalid(failure, "tensor", "shape", "bytes as %s overflow 64 bits",
                       encoding_name(encoding));
    }
    if (scales_size(layout, extent, group_size ? group_size : GROUP_SIZE_DEFAULT,
                    &found.scales) != 0)
        return invalid(failure, "tensor", "shape", "scales overflow 64 bits");
    *size = found;
    return 0;
}

bool encoding_streams(enum trit_encoding encoding)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    return !layout || layout->scales != SCALES_TENSOR;
}

bool message_too_large(const struct failure *failure)
{
    return failure->status == TRIT_RESOURCE_EXHAUSTED &&
           strcmp(failure->field, "message") == 0;
}

static int scales_check(enum trit_encoding encoding, uint64_t natural_bytes,
                        const struct scales_given *scales, struct failure *failure)
{
    enum trit_dtype natural = encoding_scales_dtype(encoding);
    uint64_t wanted = natural_bytes;

    if (scales->bytes && !scales->data)
        return fail_null(failure, "options.scales");
    if (scales->dtype != TRIT_DTYPE_UNSPECIFIED) {
        if (natural == TRIT_DTYPE_UNSPECIFIED)
            return invalid(failure, "options", "scales_dtype",
                           "%s, but %s has no separate scales", dtype_name(scales->dtype),
                           encoding_name(encoding));
        if (scales->dtype != TRIT_F32 && scales->dtype != TRIT_F16 &&
            scales->dtype != TRIT_BF16)
            return invalid(failure, "options", "scales_dtype",
                           "%d is not f32 (%d), f16 (%d) or bf16 (%d)",
                           (int)scales->dtype, TRIT_F32, TRIT_F16, TRIT_BF16);
        wanted = natural_bytes / dtype_bytes(natural) * dtype_bytes(scales->dtype);
    }
    if (scales->bytes == wanted)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "scales",
                      "%" PRIu64 " bytes, but the encoding needs %" PRIu64, scales->bytes,
                      wanted);
}

int encoded_check(const char *name, const struct trit_tensor *tensor,
                  enum trit_encoding encoding, uint32_t group_size,
                  const struct scales_given *scales, struct extent *extent,
                  struct failure *failure)
{
    struct encoded_size size;
    struct extent found;

    if (shape_check(name, tensor->rank, tensor->shape, &found, failure) < 0 ||
        encoded_size(encoding, tensor->dtype, &found, group_size, &size, failure) < 0 ||
        count_check(name, tensor->bytes, size.data, failure) < 0)
        return -1;
    if (scales_check(encoding, size.scales, scales, failure) < 0)
        return -1;
    *extent = found;
    return 0;
}

/* ---- on the wire ------------------------------------------------------------------ */

struct wire_tensor tensor_wire(const struct trit_tensor *tensor)
{
    struct wire_tensor wire = {.dtype = (uint32_t)tensor->dtype, .rank = tensor->rank};

    memcpy(wire.shape, tensor->shape, sizeof(wire.shape));
    return wire;
}

int name_copy(const char *field, const char *name, char out[TRIT_NAME_BYTES_MAX + 1],
              struct failure *failure)
{
    size_t length = name ? strlen(name) : 0;

    if (length > TRIT_NAME_BYTES_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                          "%zu bytes are more than %d", length, (int)TRIT_NAME_BYTES_MAX);
    memcpy(out, name ? name : "", length + 1);
    return 0;
}

int name_take(const char *field, const char *name, char out[TRIT_NAME_BYTES_MAX + 1],
              struct failure *failure)
{
    return name ? name_copy(field, name, out, failure) : fail_null(failure, field);
}

static int shard_wire(const struct trit_shard *given, struct wire_layer_ref *wire,
                      struct failure *failure)
{
    struct trit_shard shard;

    if (!given)
        return 0;
    if (sized_take(&sized_shard, "layer.shard", given, &shard, failure) < 0)
        return -1;
    if (shard.rank == 0 || shard.rank > TRIT_RANK_MAX)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "layer.shard.rank",
                          "%u is not in 1 to %d", (unsigned)shard.rank,
                          (int)TRIT_RANK_MAX);
    wire->has_shard = true;
    wire->global_rank = wire->offset_rank = shard.rank;
    memcpy(wire->global_shape, shard.global_shape, sizeof(wire->global_shape));
    memcpy(wire->offset, shard.offset, sizeof(wire->offset));
    return 0;
}

int layer_wire(const char *field, const struct trit_layer_ref *layer,
               struct wire_layer_ref *wire, struct failure *failure)
{
    struct wire_layer_ref made = {.present = false};
    struct trit_layer_ref ref;

    if (sized_take_optional(&sized_layer_ref, field, layer, &ref, failure) < 0)
        return -1;
    made.present = ref.run && *ref.run;
    made.step = ref.step;
    if (made.present && (name_copy("layer.run", ref.run, made.run, failure) < 0 ||
                         name_copy("layer.layer", ref.layer, made.layer, failure) < 0 ||
                         shard_wire(ref.shard, &made, failure) < 0))
        return -1;
    if (made.present) {
        made.attempt = ref.attempt;
        made.replica = ref.replica;
    }
    *wire = made;
    return 0;
}
