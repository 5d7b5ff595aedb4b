#include "client/cli/layers.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "kernels/interleave.h"
#include "kernels/kernels.h"

static bool any_matches(const struct globs *globs, const char *name)
{
    for (size_t i = 0; i < globs->count; i++)
        if (fnmatch(globs->patterns[i], name, 0) == 0)
            return true;
    return false;
}

bool name_selected(const struct options *options, const char *name)
{
    return (options->include.count == 0 || any_matches(&options->include, name)) &&
           !any_matches(&options->exclude, name);
}

bool shape_selected(const struct options *options, const struct tensor_entry *entry)
{
    uint32_t rank_max = option_given(options, OPTION_CONVOLUTIONS) ? 4 : 2;

    return entry->rank >= 2 && entry->rank <= rank_max && entry->bytes > 0 &&
           name_selected(options, entry->name);
}

bool layer_selected(const struct options *options, const struct tensor_entry *entry)
{
    enum trit_dtype dtype = entry->type->dtype;

    return (dtype == TRIT_F32 || dtype == TRIT_F16 || dtype == TRIT_BF16) &&
           shape_selected(options, entry);
}

struct matrix matrix_of(uint32_t rank, const uint64_t *shape)
{
    struct matrix matrix = {.rows = shape[0], .columns = 1};

    for (uint32_t i = 1; i < rank; i++)
        matrix.columns *= shape[i];
    return matrix;
}

uint32_t group_size_default(enum trit_encoding encoding)
{
    const struct encoding_layout *layout = encoding_layout(encoding);

    return layout && layout->scales == SCALES_TENSOR ? 0 : GROUP_SIZE_DEFAULT;
}

void scales_name(enum trit_encoding encoding, const char *layer,
                 char name[SCALES_NAME_BYTES])
{
    snprintf(name, SCALES_NAME_BYTES, "%s%s", layer,
             encoding == TRIT_ENCODING_HF_BITNET ? "_scale" : ".scales");
}

/* Scales beside the data, a row of them for each row of the matrix. */
static void scales_form(const struct matrix *matrix, uint32_t group_size,
                        enum trit_dtype dtype, struct tensor_entry *scales)
{
    *scales = (struct tensor_entry){
        .type = element_type_of(dtype),
        .rank = 2,
        .shape = {matrix->rows, div_up(matrix->columns, group_size)},
    };
}

/* [rows, bytes a row] */
static int packed_form(enum trit_encoding encoding, const struct matrix *matrix,
                       const struct encoding_layout *layout, struct tensor_entry *data,
                       struct failure *failure)
{
    uint64_t row_bytes;

    if (matrix->columns % layout->block_elements != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "%s holds rows of a multiple of %u weights, these have %" PRIu64,
                    encoding_name(encoding), layout->block_elements, matrix->columns);
    if (mul_overflows(matrix->columns / layout->block_elements, layout->block_bytes,
                      &row_bytes))
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape", "its rows are too long");
    *data = (struct tensor_entry){
        .type = element_type_of(TRIT_U8), .rank = 2, .shape = {matrix->rows, row_bytes}};
    return 0;
}

/* [rows / 4, columns], as transformers has a weight, and its weight_scale [1]. */
static int bitnet_form(const struct matrix *matrix, uint32_t group_size,
                       struct encoded_form *form, struct failure *failure)
{
    if (group_size != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "group_size",
                    "hf_bitnet has one scale for the whole tensor, not one for each %u "
                    "weights",
                    group_size);
    if (matrix->rows % INTERLEAVED != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "encoding",
                    "hf_bitnet holds a multiple of %d rows, these are %" PRIu64,
                    INTERLEAVED, matrix->rows);
    form->data =
        (struct tensor_entry){.type = element_type_of(TRIT_U8),
                              .rank = 2,
                              .shape = {matrix->rows / INTERLEAVED, matrix->columns}};
    form->scales =
        (struct tensor_entry){.type = element_type_of(TRIT_F32), .rank = 1, .shape = {1}};
    return 0;
}

int encoded_form(enum trit_encoding encoding, uint32_t group_size,
                 const struct tensor_entry *source, struct encoded_form *form,
                 struct failure *failure)
{
    const struct encoding_layout *layout = encoding_layout(encoding);
    struct matrix matrix = matrix_of(source->rank, source->shape);

    *form = (struct encoded_form){.data = *source};
    if (group_size == 0)
        group_size = group_size_default(encoding);
    switch (encoding) {
    case TRIT_ENCODING_DENSE:
        return 0;
    case TRIT_ENCODING_INT8:
        form->data.type = element_type_of(TRIT_I8);
        scales_form(&matrix, group_size, TRIT_F32, &form->scales);
        return 0;
    case TRIT_ENCODING_PQ2_0:
    case TRIT_ENCODING_Q2_0:
    case TRIT_ENCODING_PTQ1_0:
    case TRIT_ENCODING_TQ1_0:
    case TRIT_ENCODING_TQ2_0:
        if (layout && layout->block_bytes)
            return packed_form(encoding, &matrix, layout, &form->data, failure);
        break;
    case TRIT_ENCODING_HF_BITNET:
        return bitnet_form(&matrix, group_size, form, failure);
    case TRIT_ENCODING_MLX_2BIT:
    case TRIT_ENCODING_I2_S:
        break;
    }
    return fail(failure, TRIT_UNIMPLEMENTED, "encoding",
                "%s has no form in a safetensors file yet", encoding_name(encoding));
}

int load_tensor(struct reader *reader, const struct tensor_entry *entry, void **data,
                struct failure *failure)
{
    void *bytes;

    if (entry->bytes > PTRDIFF_MAX)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "tensor %s is too large",
                    entry->name);
    bytes = malloc((size_t)entry->bytes + 1);
    if (!bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for tensor %s (%" PRIu64 " bytes)", entry->name,
                    entry->bytes);
    if (reader_read(reader, entry, 0, bytes, entry->bytes, failure) != 0) {
        free(bytes);
        return -1;
    }
    *data = bytes;
    return 0;
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
