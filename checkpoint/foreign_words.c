/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes of the tables alone leave several widths of codes open. */
#include "checkpoint/foreign_words.h"

#include <string.h>

#include "base/checked.h"
#include "checkpoint/foreign_tables.h"

static const unsigned widths[] = {2, 4, 8}; /* bits of a code */
enum { WIDTHS = sizeof(widths) / sizeof(widths[0]) };

/* The `count` numbers of a tensor of I32 or I64 with this index; false: it has another
 * form, or cannot be read. */
static bool read_numbers(const struct tensor_table *table, size_t index, uint64_t count,
                         const struct checkpoint_options *options, int64_t *numbers)
{
    enum { NUMBERS_MAX = 16 };
    int64_t wide[NUMBERS_MAX];
    int32_t narrow[NUMBERS_MAX];
    uint64_t elements;

    if (index == SIZE_MAX || !options->read_small || count > NUMBERS_MAX)
        return false;
    const struct tensor_entry *entry = &table->entries[index];
    const bool is_wide = strcmp(entry->type->name, "I64") == 0;
    if ((!is_wide && strcmp(entry->type->name, "I32") != 0) ||
        !shape_elements(entry->rank, entry->shape, &elements) || elements != count ||
        options->read_small(options->read_arg, entry,
                            is_wide ? (void *)wide : (void *)narrow,
                            (size_t)entry->bytes) < 0)
        return false;
    for (uint64_t i = 0; i < count; i++)
        numbers[i] = is_wide ? wide[i] : narrow[i];
    return true;
}

/* ---- compressed-tensors ----------------------------------------------------------- */

/* A row is `words` I32 without gaps between its codes; the last word may be filled up. */
static unsigned bits_of_words(uint64_t words, uint64_t columns, unsigned wanted)
{
    unsigned bits = 0, possible = 0;

    for (size_t i = 0; i < WIDTHS; i++) {
        uint64_t all;

        if (mul_overflows(columns, widths[i], &all) || div_up(all, 32) != words)
            continue;
        if (widths[i] == wanted)
            return wanted;
        bits = widths[i];
        possible++;
    }
    return possible == 1 ? bits : 0;
}

bool foreign_words_of(const struct tensor_table *table, const struct tensor_entry *entry,
                      const struct checkpoint_options *options, struct foreign_form *form,
                      struct tensor_entry *dense, size_t *scales)
{
    int64_t shape[2];

    *scales = foreign_sibling(table, entry, "weight_scale");
    if (entry->rank != 2 || *scales == SIZE_MAX ||
        !read_numbers(table, foreign_sibling(table, entry, "weight_shape"), 2, options,
                      shape) ||
        shape[0] < 0 || (uint64_t)shape[0] != entry->shape[0] || shape[1] <= 0)
        return false;
    form->bits = bits_of_words(entry->shape[1], (uint64_t)shape[1], options->bits);
    if (!form->bits || !foreign_blocks(&table->entries[*scales], entry->shape[0],
                                       (uint64_t)shape[1], NULL, form))
        return false;
    dense->shape[1] = (uint64_t)shape[1];
    form->codes = CODES_UNSIGNED;
    form->zero = INT64_C(1) << (form->bits - 1);
    form->row_bytes = entry->shape[1] * 4;
    return true;
}

/* ---- gemlite ------------------------------------------------------------------------ */

/* The numbers of gemlite's tensor "metadata" (GemLiteLinear.get_meta_args). */
enum meta {
    META_BITS = 1,
    META_GROUP = 2, /* weights that share a scale, unless it is one for each row */
    META_MASK = 3,
    META_CODES = 4,       /* in a word */
    META_INPUT = 5,       /* the type of the activations */
    META_CHANNELS = 9,    /* 1 and 3: a scale for each row, applied to the output */
    META_GROUP_MODE = 10, /* how a code becomes a weight */
    META_COUNT = 12,
};

enum group_mode {
    GROUP_SHIFT = 1,      /* code - zero */
    GROUP_SCALE = 2,      /* code * scale */
    GROUP_ASYMMETRIC = 3, /* (code - zero) * scale */
    GROUP_FMA = 4,        /* code * scale + zero */
};

/* Of META_INPUT: MXFP16, MXBF16, MXFP8, MXFP4, NVFP4. Their codes are no integers. */
enum { INPUT_MICRO_FIRST = 14, INPUT_MICRO_LAST = 18 };

/* Of META_CHANNELS. */
enum { CHANNELS_NONE, CHANNELS_WEIGHTS, CHANNELS_INPUTS, CHANNELS_BOTH };

static bool has_shape(const struct tensor_entry *entry, uint64_t rows, uint64_t columns)
{
    return entry->rank == 2 && entry->shape[0] == rows && entry->shape[1] == columns;
}

/* Words that hold whole codes. */
static bool check_words(const struct tensor_entry *entry, const int64_t *meta,
                        const int64_t *shape)
{
    const uint64_t bits = (uint64_t)meta[META_BITS];
    static const char *const types[] = {"U8", "I16", "I32"};
    bool known = false;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        known |= strcmp(entry->type->name, types[i]) == 0;
    return known && (bits == 2 || bits == 4 || bits == 8) &&
           meta[META_MASK] == (INT64_C(1) << bits) - 1 &&
           (uint64_t)meta[META_CODES] == entry->type->bits / bits && shape[0] > 0 &&
           shape[1] > 0 && shape[1] % meta[META_CODES] == 0 &&
           has_shape(entry, (uint64_t)(shape[1] / meta[META_CODES]), (uint64_t)shape[0]);
}

static bool is_by_row(const int64_t *meta)
{
    return meta[META_CHANNELS] == CHANNELS_WEIGHTS ||
           meta[META_CHANNELS] == CHANNELS_BOTH;
}

/* gemlite applies the scales by these numbers, whatever their tensor's shape says. */
static bool check_scales(const int64_t *meta, uint64_t groups, uint64_t columns)
{
    if (meta[META_CHANNELS] < CHANNELS_NONE || meta[META_CHANNELS] > CHANNELS_BOTH ||
        (meta[META_INPUT] >= INPUT_MICRO_FIRST && meta[META_INPUT] <= INPUT_MICRO_LAST))
        return false;
    return groups == 1 || (!is_by_row(meta) && meta[META_GROUP] > 0 &&
                           (uint64_t)meta[META_GROUP] == columns / groups);
}

/* What `zeros` is: nothing, the code of 0 of all weights, or a table as large as the scales. */
static bool take_zeros(const struct tensor_table *table, const struct tensor_entry *entry,
                       const struct checkpoint_options *options, const int64_t *meta,
                       const struct tensor_entry *scale, struct foreign_form *form,
                       size_t *biases)
{
    const size_t index = foreign_sibling(table, entry, "zeros");
    const int64_t mode = meta[META_GROUP_MODE];

    if (is_by_row(meta) ? mode == GROUP_SCALE || mode >= GROUP_ASYMMETRIC
                        : mode < GROUP_SCALE || mode > GROUP_FMA)
        return false;
    if (mode == 0 || mode == GROUP_SCALE)
        return true;
    if (index == SIZE_MAX)
        return false;
    const struct tensor_entry *zeros = &table->entries[index];
    if (mode != GROUP_FMA && !foreign_is_float(zeros))
        return read_numbers(table, index, 1, options, &form->zero);
    *biases = index;
    form->biases_are_zeros = mode != GROUP_FMA;
    return zeros->type == scale->type &&
           has_shape(zeros, scale->shape[0], scale->shape[1]);
}

bool foreign_gemlite_of(const struct tensor_table *table,
                        const struct tensor_entry *entry,
                        const struct checkpoint_options *options,
                        struct foreign_form *form, struct tensor_entry *dense,
                        enum layer_layout *layout, size_t *scales, size_t *biases)
{
    int64_t meta[META_COUNT], shape[2];

    *scales = foreign_sibling(table, entry, "scales");
    if (*scales == SIZE_MAX ||
        !read_numbers(table, foreign_sibling(table, entry, "metadata"), META_COUNT,
                      options, meta) ||
        !read_numbers(table, foreign_sibling(table, entry, "orig_shape"), 2, options,
                      shape) ||
        !check_words(entry, meta, shape))
        return false;
    const struct tensor_entry *scale = &table->entries[*scales];
    const uint64_t rows = (uint64_t)shape[0], columns = (uint64_t)shape[1];
    if (!foreign_is_float(scale) || scale->rank != 2 || scale->shape[0] == 0 ||
        columns % scale->shape[0] != 0 || !has_shape(scale, scale->shape[0], rows))
        return false;
    if (!check_scales(meta, scale->shape[0], columns)) {
        form->unread =
            "its metadata has another group size, way to apply scales or type of "
            "inputs (numbers 2, 9 and 5) than weights with these scales";
        return false;
    }
    if (!take_zeros(table, entry, options, meta, scale, form, biases))
        return false;
    form->codes = CODES_UNSIGNED;
    form->bits = (unsigned)meta[META_BITS];
    form->block_rows = 1;
    form->scale_columns = scale->shape[0];
    form->block_columns = columns / scale->shape[0];
    form->codes_a_word = (uint64_t)meta[META_CODES];
    form->word_bytes = entry->type->bits / 8;
    form->rows = rows;
    dense->shape[0] = rows;
    dense->shape[1] = columns;
    *layout = LAYOUT_OUT_IN;
    return foreign_take_type(scale, PACKING_GEMLITE, form, dense);
}
