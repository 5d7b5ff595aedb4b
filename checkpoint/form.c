/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/form.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"

bool layout_is_experts(enum layer_layout layout)
{
    return layout == LAYOUT_EXPERTS_OUT_IN || layout == LAYOUT_EXPERTS_IN_OUT;
}

struct matrices matrices_of(enum layer_layout layout, uint32_t rank,
                            const uint64_t *shape)
{
    const uint32_t first = layout_is_experts(layout) ? 1 : 0;
    struct matrices matrices = {
        .count = first ? shape[0] : 1,
        .rows = shape[first],
        .columns = 1,
        .transposed = layout == LAYOUT_IN_OUT || layout == LAYOUT_EXPERTS_IN_OUT,
    };

    for (uint32_t i = first + 1; i < rank; i++)
        matrices.columns *= shape[i];
    if (matrices.transposed) {
        matrices.columns = shape[first];
        matrices.rows = shape[first + 1];
    }
    return matrices;
}

uint64_t head_order_row(const struct head_order *order, uint64_t row)
{
    if (order->rows == 0)
        return row;
    const uint64_t within = row % order->rows, half = order->rows / 2;

    return row - within +
           (order->interleaves ? within % 2 * half + within / 2
                               : within % half * 2 + within / half);
}

const char *matrix_name(char name[MATRIX_NAME_BYTES], const char *layer,
                        const struct matrices *matrices, uint64_t number)
{
    if (matrices->count == 1)
        snprintf(name, MATRIX_NAME_BYTES, "%s", layer);
    else
        snprintf(name, MATRIX_NAME_BYTES, "%s[%" PRIu64 "]", layer, number);
    return name;
}

bool encoding_keeps_layout(enum trit_encoding encoding)
{
    return encoding == TRIT_ENCODING_DENSE || encoding == TRIT_ENCODING_INT8;
}

/* [rows, columns], or [experts, rows, columns] */
static struct tensor_entry stacked_form(enum trit_dtype dtype, enum layer_layout layout,
                                        const struct matrices *matrices, uint64_t columns)
{
    if (!layout_is_experts(layout))
        return (struct tensor_entry){.type = element_type_of(dtype),
                                     .rank = 2,
                                     .shape = {matrices->rows, columns}};
    return (struct tensor_entry){.type = element_type_of(dtype),
                                 .rank = 3,
                                 .shape = {matrices->count, matrices->rows, columns}};
}

uint32_t group_size_default(enum trit_encoding encoding)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    return layout && layout->scales == SCALES_TENSOR ? 0 : GROUP_SIZE_DEFAULT;
}

bool encoding_has_scales(enum trit_encoding encoding)
{
    return encoding == TRIT_ENCODING_INT8 || encoding == TRIT_ENCODING_MLX_2BIT ||
           encoding == TRIT_ENCODING_HF_BITNET;
}

uint32_t encoding_block(enum trit_encoding encoding)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    return layout ? layout->block_elements : 0;
}

int terms_check(const struct layer_terms *terms, struct failure *failure)
{
    const struct encoding_layout *layout = encoding_layout(terms->encoding);

    if (terms->group_size != 0 && group_size_default(terms->encoding) == 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "group_size",
                    "%s has one scale for the whole tensor, not one for each %u weights",
                    encoding_name(terms->encoding), terms->group_size);
    if (terms->group_size == 1)
        return fail(failure, TRIT_INVALID_ARGUMENT, "group_size",
                    "a group of 1 weight is always ternary; use groups of 2 or more");
    if (terms->group_size > GROUP_SIZE_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "group_size",
                    "a group has at most %u weights, not %u", (unsigned)GROUP_SIZE_MAX,
                    terms->group_size);
    if (layout && layout->scales == SCALES_IN_BLOCK &&
        terms->group_size % layout->block_elements != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "group_size",
                    "%s has one scale for each %u weights: the group size must be "
                    "a multiple of %u, not %u",
                    encoding_name(terms->encoding), layout->block_elements,
                    layout->block_elements, terms->group_size);
    if (layout && layout->scales == SCALES_F16 &&
        (layout->group_size % terms->group_size != 0 ||
         terms->group_size % layout->block_elements != 0))
        return fail(failure, TRIT_INVALID_ARGUMENT, "group_size",
                    "%s supports groups of %u or %u weights, not of %u",
                    encoding_name(terms->encoding), layout->block_elements,
                    layout->group_size, terms->group_size);
    return 0;
}

bool encoding_keeps_embeddings(enum trit_encoding encoding)
{
    return encoding == TRIT_ENCODING_HF_BITNET || encoding == TRIT_ENCODING_I2_S;
}

/* The length of "STEM." if the name is "STEM.weight", else the length of the name. */
static int stem_bytes(const char *layer)
{
    const size_t length = strlen(layer), leaf = sizeof("weight") - 1;
    const bool ends = length >= leaf && strcmp(layer + length - leaf, "weight") == 0 &&
                      (length == leaf || layer[length - leaf - 1] == '.');

    return (int)(ends ? length - leaf : length);
}

bool name_suits(enum trit_encoding encoding, const char *layer)
{
    return encoding != TRIT_ENCODING_MLX_2BIT ||
           (size_t)stem_bytes(layer) != strlen(layer);
}

void scales_name(enum trit_encoding encoding, const char *layer,
                 char name[SCALES_NAME_BYTES])
{
    if (encoding == TRIT_ENCODING_MLX_2BIT && name_suits(encoding, layer))
        snprintf(name, SCALES_NAME_BYTES, "%.*sscales", stem_bytes(layer), layer);
    else
        snprintf(name, SCALES_NAME_BYTES, "%s%s", layer,
                 encoding == TRIT_ENCODING_HF_BITNET ? "_scale" : ".scales");
}

void biases_name(const char *layer, char name[SCALES_NAME_BYTES])
{
    snprintf(name, SCALES_NAME_BYTES, "%.*sbiases", stem_bytes(layer), layer);
}

static int packed_form(enum trit_encoding encoding, enum layer_layout stacking,
                       const struct matrices *matrix,
                       const struct encoding_layout *layout, struct tensor_entry *data,
                       struct failure *failure)
{
    uint64_t row_bytes;

    if (matrix->columns % layout->block_elements != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "%s needs rows of a multiple of %u weights, these have %" PRIu64,
                    encoding_name(encoding), layout->block_elements, matrix->columns);
    if (mul_overflows(matrix->columns / layout->block_elements, layout->block_bytes,
                      &row_bytes))
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape", "its rows are too long");
    *data = stacked_form(TRIT_U8, stacking, matrix, row_bytes);
    return 0;
}

/* [rows / 4, columns] as in transformers, and weight_scale [1]. */
static int bitnet_form(const struct matrices *matrix, struct encoded_form *form,
                       struct failure *failure)
{
    if (matrix->count > 1)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "hf_bitnet does not support experts of rank 3");
    if (matrix->rows % INTERLEAVED != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "hf_bitnet needs a multiple of %d rows, these are %" PRIu64,
                    INTERLEAVED, matrix->rows);
    if (matrix->columns > 0 && matrix->rows > WHOLE_ELEMENTS_MAX / matrix->columns)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "hf_bitnet supports at most %d weights, these are %" PRIu64
                    " x %" PRIu64,
                    WHOLE_ELEMENTS_MAX, matrix->rows, matrix->columns);
    form->data =
        (struct tensor_entry){.type = element_type_of(TRIT_U8),
                              .rank = 2,
                              .shape = {matrix->rows / INTERLEAVED, matrix->columns}};
    form->scales =
        (struct tensor_entry){.type = element_type_of(TRIT_F32), .rank = 1, .shape = {1}};
    return 0;
}

/* U32 [rows, columns / 16] of 16 codes each, F16 scales and biases [rows, groups]. */
static int mlx_form(const struct layer_terms *terms, enum layer_layout stacking,
                    const struct matrices *matrix, struct encoded_form *form,
                    struct failure *failure)
{
    if (matrix->columns % terms->group_size != 0)
        return fail(
            failure, TRIT_INVALID_ARGUMENT, "encoding",
            "mlx_2bit needs rows of whole groups of %u weights, these have %" PRIu64,
            terms->group_size, matrix->columns);
    form->data =
        stacked_form(TRIT_U8, stacking, matrix, matrix->columns / MLX_CODES_A_WORD);
    form->data.type = element_type_by_name("U32");
    form->scales =
        stacked_form(TRIT_F16, stacking, matrix, matrix->columns / terms->group_size);
    form->biases = form->scales;
    return 0;
}

/* Rows of whole blocks, as bitnet.cpp computes with them, in a type that only GGUF has. */
static int i2_s_form(enum layer_layout stacking, const struct matrices *matrix,
                     const struct encoding_layout *layout, struct tensor_entry *data,
                     struct failure *failure)
{
    if (matrix->count > 1)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "i2_s does not support experts of rank 3");
    if (matrix->columns > 0 && matrix->rows > WHOLE_ELEMENTS_MAX / matrix->columns)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "i2_s supports at most %d weights, these are %" PRIu64 " x %" PRIu64,
                    WHOLE_ELEMENTS_MAX, matrix->rows, matrix->columns);
    if (packed_form(TRIT_ENCODING_I2_S, stacking, matrix, layout, data, failure) < 0)
        return -1;
    data->type = encoding_type(TRIT_ENCODING_I2_S);
    return 0;
}

/* The last axis that is not 1; *axes: how many such axes there are. */
static uint64_t last_axis(const struct tensor_entry *entry, uint32_t *axes)
{
    uint64_t last = 1;

    *axes = 0;
    for (uint32_t i = 0; i < entry->rank; i++)
        if (entry->shape[i] != 1) {
            last = entry->shape[i];
            ++*axes;
        }
    return last;
}

bool scales_fit(const struct tensor_entry *form, const struct tensor_entry *scales)
{
    uint64_t wanted, found;
    uint32_t form_axes, axes;
    const uint64_t row = last_axis(form, &form_axes), last = last_axis(scales, &axes);

    if (form->type == element_type_of(TRIT_F16)) /* MLX takes no other shape */
        return type_holds(scales->type, TRIT_ENCODING_DENSE) &&
               scales->rank == form->rank &&
               memcmp(scales->shape, form->shape, form->rank * sizeof(form->shape[0])) ==
                   0;
    return type_holds(scales->type, TRIT_ENCODING_DENSE) && (axes < 2 || last == row) &&
           shape_elements(form->rank, form->shape, &wanted) &&
           shape_elements(scales->rank, scales->shape, &found) && wanted == found;
}

int encoded_form(const struct layer_terms *terms, const struct tensor_entry *source,
                 enum layer_layout stacking, struct encoded_form *form,
                 struct failure *failure)
{
    const struct encoding_layout *layout = encoding_layout(terms->encoding);
    struct matrices matrix = matrices_of(stacking, source->rank, source->shape);

    *form = (struct encoded_form){.data = *source};
    if (terms_check(terms, failure) < 0)
        return -1;
    switch (terms->encoding) {
    case TRIT_ENCODING_DENSE:
        return 0;
    case TRIT_ENCODING_INT8:
        form->data.type = element_type_of(TRIT_I8);
        form->scales =
            stacked_form(TRIT_F32, stacking, &matrix,
                         div_up(matrix.columns, terms->group_size ? terms->group_size
                                                                  : GROUP_SIZE_DEFAULT));
        return 0;
    case TRIT_ENCODING_PQ2_0:
    case TRIT_ENCODING_Q2_0:
    case TRIT_ENCODING_PTQ1_0:
    case TRIT_ENCODING_TQ1_0:
    case TRIT_ENCODING_TQ2_0:
        if (layout && layout->block_bytes)
            return packed_form(terms->encoding, stacking, &matrix, layout, &form->data,
                               failure);
        break;
    case TRIT_ENCODING_HF_BITNET:
        return bitnet_form(&matrix, form, failure);
    case TRIT_ENCODING_MLX_2BIT:
        return mlx_form(terms, stacking, &matrix, form, failure);
    case TRIT_ENCODING_I2_S:
        return i2_s_form(stacking, &matrix, layout, &form->data, failure);
    }
    return fail(failure, TRIT_UNIMPLEMENTED, "encoding",
                "%s has no form in a safetensors file yet",
                encoding_name(terms->encoding));
}

static const struct {
    const char *name; /* of GGUF's type */
    enum trit_encoding encoding;
} types[] = {
    {"PQ2_0", TRIT_ENCODING_PQ2_0},   {"Q2_0", TRIT_ENCODING_Q2_0},
    {"PTQ1_0", TRIT_ENCODING_PTQ1_0}, {"TQ1_0", TRIT_ENCODING_TQ1_0},
    {"TQ2_0", TRIT_ENCODING_TQ2_0},   {"I2_S", TRIT_ENCODING_I2_S},
};

enum { TYPES = sizeof(types) / sizeof(types[0]) };

const struct element_type *encoding_type(enum trit_encoding encoding)
{
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].encoding == encoding)
            return element_type_of_blocks(types[i].name);
    return NULL;
}

bool type_encoding(const struct element_type *type, enum trit_encoding *encoding)
{
    for (size_t i = 0; i < TYPES; i++)
        if (element_type_is_block(type) && strcmp(types[i].name, type->name) == 0) {
            *encoding = types[i].encoding;
            return true;
        }
    return false;
}

uint32_t type_group(const struct element_type *type)
{
    return type->tail_bytes ? 0 : type->block_values;
}

bool type_holds(const struct element_type *type, enum trit_encoding encoding)
{
    enum trit_encoding blocks;

    if (type_encoding(type, &blocks))
        return encoding == blocks;
    if (encoding == TRIT_ENCODING_DENSE)
        return element_type_is_float(type);
    if (encoding == TRIT_ENCODING_MLX_2BIT)
        return type == element_type_by_name("U32");
    return type->dtype == (encoding == TRIT_ENCODING_INT8 ? TRIT_I8 : TRIT_U8);
}

int dense_form(enum trit_encoding encoding, const struct tensor_entry *entry,
               struct tensor_entry *dense, struct failure *failure)
{
    const struct encoding_layout *layout = encoding_layout(encoding);
    uint64_t elements;

    *dense = *entry;
    if (encoding == TRIT_ENCODING_DENSE)
        return 0;
    dense->type = element_type_of(TRIT_F32);
    if (encoding == TRIT_ENCODING_MLX_2BIT && (entry->rank == 2 || entry->rank == 3))
        dense->shape[entry->rank - 1] *= MLX_CODES_A_WORD; /* bytes that a file has */
    else if (layout && layout->interleaved && entry->rank == 2)
        dense->shape[0] *= INTERLEAVED; /* bytes that a file has: no overflow */
    else if (layout && layout->block_bytes && !layout->interleaved &&
             (entry->rank == 2 || entry->rank == 3) && encoding != TRIT_ENCODING_INT8 &&
             entry->shape[entry->rank - 1] % layout->block_bytes == 0)
        dense->shape[entry->rank - 1] =
            entry->shape[entry->rank - 1] / layout->block_bytes * layout->block_elements;
    else if (encoding != TRIT_ENCODING_INT8)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "its rows are not a whole number of %s blocks",
                    encoding_name(encoding));
    if (!shape_elements(dense->rank, dense->shape, &elements) ||
        mul_overflows(elements, dense->type->bits / 8, &dense->bytes))
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape", "it is too large");
    return 0;
}

const char *entry_shape_text(char text[SHAPE_TEXT_BYTES],
                             const struct tensor_entry *entry)
{
    uint64_t shape[TRIT_RANK_MAX];

    entry_value_shape(entry, shape);
    return shape_text(text, entry->rank, shape);
}

const char *shape_text(char text[SHAPE_TEXT_BYTES], uint32_t rank, const uint64_t *shape)
{
    int length = snprintf(text, SHAPE_TEXT_BYTES, "[");

    for (uint32_t i = 0; i < rank; i++)
        length += snprintf(text + length, SHAPE_TEXT_BYTES - (size_t)length, "%s%" PRIu64,
                           i ? ", " : "", shape[i]);
    snprintf(text + length, SHAPE_TEXT_BYTES - (size_t)length, "]");
    return text;
}
