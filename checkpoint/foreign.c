/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/foreign.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "checkpoint/config.h"
#include "checkpoint/decode.h"
#include "checkpoint/foreign_tables.h"
#include "checkpoint/foreign_words.h"
#include "checkpoint/keras.h"
#include "checkpoint/name_parts.h"

enum {
    BNB_INT8_LARGEST = 127, /* bitsandbytes' code of a row's largest weight */
    BNB_ROWS = 0,           /* the value of weight_format */
    FP8_BLOCK = 128,        /* rows and columns of DeepSeek's blocks */
};

/* ---- the tables ---------------------------------------------------------------- */

/* Tables that do not change the values of the weights: they are of activations, or repeat the
 * format and the shape. */
static bool is_irrelevant(const char *name)
{
    static const char *const leaves[] = {
        "input_scale",       "input_scales",       "weight_format",
        "weight_shape",      "output_scale",       "k_scale",
        "v_scale",           "kv_scale",           "input_zero_point",
        "output_zero_point", "input_global_scale",
    };
    const char *leaf = name_leaf(name);

    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        if (strcmp(leaf, leaves[i]) == 0)
            return true;
    return false;
}

struct known_tables {
    const struct tensor_table *table;
    bool (*is_known)(const void *arg, size_t index);
    const void *arg;
    bool others;
};

static void note_table(void *arg, size_t index)
{
    struct known_tables *known = arg;

    if (!known->is_known(known->arg, index) &&
        !is_irrelevant(known->table->entries[index].name))
        known->others = true;
}

bool foreign_has_known(const struct tensor_table *table, const struct tensor_entry *entry,
                       bool (*is_known)(const void *arg, size_t index), const void *arg)
{
    struct known_tables known = {table, is_known, arg, false};

    packing_visit(table, entry, note_table, &known);
    return !known.others;
}

/* `arg`: two indices. */
static bool is_either(const void *arg, size_t index)
{
    const size_t *two = arg;

    return index == two[0] || index == two[1];
}

bool foreign_has_only(const struct tensor_table *table, const struct tensor_entry *entry,
                      size_t scales, size_t biases)
{
    const size_t two[] = {scales, biases};

    return foreign_has_known(table, entry, is_either, two);
}

/* ---- MLX ------------------------------------------------------------------------- */

static bool mlx_has_bits(uint64_t bits)
{
    return (bits >= 2 && bits <= 6) || bits == 8;
}

/* How MLX may have packed a weight. */
struct mlx_fit {
    uint32_t group;
    unsigned bits;
};

/* The fits for rows of `words` words with `groups` scales; returns how many. */
static size_t mlx_fits(uint64_t words, uint64_t groups,
                       struct mlx_fit fits[MLX_WIDTHS_MAX])
{
    size_t count = 0;

    for (uint32_t group = 32; group <= 128; group *= 2) {
        uint64_t columns, bits;

        if (mul_overflows(groups, group, &columns) || mul_overflows(words, 32, &bits) ||
            columns == 0 || bits % columns != 0 || !mlx_has_bits(bits / columns))
            continue;
        fits[count++] = (struct mlx_fit){group, (unsigned)(bits / columns)};
    }
    return count;
}

/* Takes the fit with these terms, if it is the only one. */
static bool take_fit(const struct mlx_fit *fits, size_t count,
                     const struct mlx_terms *terms, struct mlx_fit *chosen)
{
    size_t possible = 0;

    for (size_t i = 0; i < count; i++)
        if ((!terms->group_size || fits[i].group == terms->group_size) &&
            (!terms->bits || fits[i].bits == terms->bits)) {
            *chosen = fits[i];
            possible++;
        }
    return possible == 1;
}

/* The one that config.json, the shapes or options tell. Where shapes contradict its bits,
 * the group size of config.json tells: older writers named no module of its own. */
static bool choose_fit(const char *name, const struct mlx_fit *fits, size_t count,
                       const struct checkpoint_options *options, struct mlx_fit *chosen)
{
    const struct mlx_terms told = config_mlx_terms(options->config, name);
    const struct mlx_terms group = {.group_size = told.group_size};
    const struct mlx_terms asked = {.bits = options->bits};

    return take_fit(fits, count, &told, chosen) ||
           take_fit(fits, count, &group, chosen) ||
           (options->bits && take_fit(fits, count, &asked, chosen));
}

/* Finds the tables of the weight, and how their shapes and its own fit together. */
static size_t mlx_find(const struct tensor_table *table, const struct tensor_entry *entry,
                       size_t *scales, size_t *biases,
                       struct mlx_fit fits[MLX_WIDTHS_MAX])
{
    const uint32_t last = entry->rank - 1;

    *scales = foreign_sibling(table, entry, "scales");
    *biases = foreign_sibling(table, entry, "biases");
    if (*scales == SIZE_MAX || *biases == SIZE_MAX)
        return 0;
    const struct tensor_entry *scale = &table->entries[*scales];
    const struct tensor_entry *bias = &table->entries[*biases];
    if (!foreign_is_float(scale) || scale->type != bias->type ||
        scale->rank != entry->rank || bias->rank != entry->rank ||
        memcmp(scale->shape, bias->shape, entry->rank * sizeof(scale->shape[0])) != 0 ||
        memcmp(scale->shape, entry->shape, last * sizeof(scale->shape[0])) != 0)
        return 0;
    return mlx_fits(entry->shape[last], scale->shape[last], fits);
}

size_t foreign_mlx_bits(const struct tensor_table *table,
                        const struct tensor_entry *entry, unsigned bits[MLX_WIDTHS_MAX])
{
    struct mlx_fit fits[MLX_WIDTHS_MAX];
    size_t scales, biases;
    const size_t count =
        entry->rank > 0 ? mlx_find(table, entry, &scales, &biases, fits) : 0;

    for (size_t i = 0; i < count; i++)
        bits[i] = fits[i].bits;
    return count;
}

static bool mlx_form_of(const struct tensor_table *table,
                        const struct tensor_entry *entry,
                        const struct checkpoint_options *options,
                        struct foreign_form *form, struct tensor_entry *dense,
                        size_t *scales, size_t *biases)
{
    const uint32_t last = entry->rank - 1;
    struct mlx_fit fits[MLX_WIDTHS_MAX], fit;
    const size_t count = mlx_find(table, entry, scales, biases, fits);

    if (!choose_fit(entry->name, fits, count, options, &fit))
        return false;
    dense->shape[last] = table->entries[*scales].shape[last] * fit.group;
    form->codes = CODES_UNSIGNED;
    form->bits = fit.bits;
    form->block_rows = 1;
    form->block_columns = fit.group;
    form->scale_columns = table->entries[*scales].shape[last];
    return true;
}

bool foreign_mlx_differs(const struct model_config *config, uint32_t group_size,
                         const struct tensor_entry *entry,
                         const struct tensor_entry *scales)
{
    const struct mlx_terms told = config_mlx_terms(config, entry->name);

    return scales->rank != entry->rank ||
           scales->shape[entry->rank - 1] * group_size / MLX_CODES_A_WORD !=
               entry->shape[entry->rank - 1] ||
           (told.bits && told.bits != 2) ||
           (told.group_size && told.group_size != group_size);
}

/* ---- 8 bits ---------------------------------------------------------------------- */

/* As config.json says, else as DeepSeek's. */
static struct scale_block fp8_block(const struct model_config *config)
{
    return config && config->fp8_rows && config->fp8_columns
               ? (struct scale_block){config->fp8_rows, config->fp8_columns}
               : (struct scale_block){FP8_BLOCK, FP8_BLOCK};
}

/* Do the weights of bitsandbytes lie row by row? Its old versions wrote tiles of GPUs, which
 * the tensor weight_format tells. */
static bool bnb_has_rows(const struct tensor_table *table,
                         const struct tensor_entry *entry,
                         const struct checkpoint_options *options)
{
    const size_t index = foreign_sibling(table, entry, "weight_format");
    uint8_t format;

    if (index == SIZE_MAX)
        return true;
    return strcmp(table->entries[index].type->name, "U8") == 0 &&
           table->entries[index].bytes == sizeof(format) && options->read_small &&
           options->read_small(options->read_arg, &table->entries[index], &format,
                               sizeof(format)) == 0 &&
           format == BNB_ROWS;
}

static bool bytes_form_of(const struct tensor_table *table,
                          const struct tensor_entry *entry, enum packing packing,
                          const struct checkpoint_options *options,
                          struct foreign_form *form, size_t *scales)
{
    const bool integers = strcmp(entry->type->name, "I8") == 0;
    const struct scale_block block = fp8_block(options->config);

    if (entry->rank != 2)
        return false;
    *scales = foreign_sibling(table, entry,
                              packing == PACKING_BITSANDBYTES ? "SCB" : "weight_scale");
    if (*scales == SIZE_MAX && packing == PACKING_FP8)
        *scales = foreign_sibling(table, entry, "weight_scale_inv");
    if (*scales == SIZE_MAX)
        return false;
    if (!foreign_blocks(&table->entries[*scales], entry->shape[0], entry->shape[1],
                        integers ? NULL : &block, form)) {
        form->unread =
            "its scales are not one for the tensor, for each row, or for each run "
            "of a row or block (of fp8: weight_block_size in config.json, else "
            "128 x 128)";
        return false;
    }
    if (packing == PACKING_BITSANDBYTES && !bnb_has_rows(table, entry, options)) {
        form->unread =
            "its weight_format is not 0 (row by row) or could not be read; save "
            "the model again with a newer bitsandbytes";
        return false;
    }
    form->codes = integers                                    ? CODES_INT8
                  : strcmp(entry->type->name, "F8_E4M3") == 0 ? CODES_E4M3
                                                              : CODES_E5M2;
    form->bits = 8;
    if (packing == PACKING_BITSANDBYTES)
        form->divisor = BNB_INT8_LARGEST;
    return integers || form->codes == CODES_E4M3 ||
           strcmp(entry->type->name, "F8_E5M2") == 0;
}

bool foreign_form_of(const struct tensor_table *table, const struct tensor_entry *entry,
                     enum packing packing, const struct checkpoint_options *options,
                     struct foreign_form *form, struct tensor_entry *dense,
                     enum layer_layout *layout, size_t *scales, size_t *biases)
{
    bool found;

    *form = (struct foreign_form){.divisor = 1};
    *dense = *entry;
    *scales = *biases = SIZE_MAX;
    if (entry->rank < 2 || entry->rank > 3 || entry->bytes == 0)
        return false;
    if (packing == PACKING_MLX)
        found = mlx_form_of(table, entry, options, form, dense, scales, biases);
    else if (packing == PACKING_COMPRESSED_TENSORS &&
             strcmp(entry->type->name, "I32") == 0)
        found = foreign_words_of(table, entry, options, form, dense, scales);
    else if (packing == PACKING_GEMLITE)
        return foreign_gemlite_of(table, entry, options, form, dense, layout, scales,
                                  biases);
    else if (packing == PACKING_KERAS)
        return keras_form_of(table, entry, form, dense, scales);
    else
        found = (packing == PACKING_FP8 || packing == PACKING_COMPRESSED_TENSORS ||
                 packing == PACKING_BITSANDBYTES) &&
                bytes_form_of(table, entry, packing, options, form, scales);
    if (!found || !foreign_has_only(table, entry, *scales, *biases))
        return false;
    if (form->row_bytes == 0)
        form->row_bytes = dense->shape[dense->rank - 1] * form->bits / 8;
    *layout = entry->rank == 3 ? LAYOUT_EXPERTS_OUT_IN : LAYOUT_OUT_IN;
    return foreign_take_type(&table->entries[*scales], packing, form, dense);
}

uint32_t foreign_group_size(const struct foreign_form *form,
                            const struct tensor_entry *dense)
{
    return form->block_columns < dense->shape[dense->rank - 1]
               ? (uint32_t)form->block_columns
               : GROUP_SIZE_DEFAULT;
}

/* ---- values ------------------------------------------------------------------------ */

/* Of words of a column: one scale for the tensor, or one for each row and block? */
static bool has_one_scale(const struct foreign_form *form)
{
    return form->block_rows > 1;
}

struct foreign_rows foreign_rows_of(const struct foreign_form *form, uint64_t columns,
                                    uint64_t first, uint64_t count)
{
    const uint64_t size = dtype_bytes(form->dtype), word = form->word_bytes;

    if (form->codes_a_word) {
        const struct foreign_runs codes = {first * word, count * word, form->rows * word,
                                           div_up(columns, form->codes_a_word)};

        if (has_one_scale(form))
            return (struct foreign_rows){codes, {0, size, 0, 1}};
        return (struct foreign_rows){
            codes, {first * size, count * size, form->rows * size, form->scale_columns}};
    }
    const uint64_t block = first / form->block_rows;
    const uint64_t blocks = div_up(first + count, form->block_rows) - block;
    const uint64_t width = form->scale_columns * size;

    return (struct foreign_rows){{first * form->row_bytes, count * form->row_bytes, 0, 1},
                                 {block * width, blocks * width, 0, 1}};
}

/* OCP 8-bit floats: sign, `exponent` bits, mantissa. */
static double small_float(uint8_t bits, int exponent)
{
    const int mantissa = 7 - exponent, bias = (1 << (exponent - 1)) - 1;
    const int power = bits >> mantissa & ((1 << exponent) - 1);
    const int rest = bits & ((1 << mantissa) - 1);
    const double magnitude = power ? ldexp(1 + ldexp(rest, -mantissa), power - bias)
                                   : ldexp(rest, 1 - bias - mantissa);

    return bits & 0x80 ? -magnitude : magnitude;
}

static double e4m3(uint8_t bits)
{
    return (bits & 0x7f) == 0x7f ? NAN : small_float(bits, 4);
}

static double e5m2(uint8_t bits)
{
    if ((bits & 0x7c) != 0x7c)
        return small_float(bits, 5);
    return bits & 3 ? NAN : bits & 0x80 ? -INFINITY : INFINITY;
}

/* Code `index` of a row. */
static double code_at(const struct foreign_form *form, const uint8_t *row, uint64_t index)
{
    const uint64_t at = index * form->bits;
    unsigned code;

    switch (form->codes) {
    case CODES_INT8:
        return (int8_t)row[index];
    case CODES_E4M3:
        return e4m3(row[index]);
    case CODES_E5M2:
        return e5m2(row[index]);
    case CODES_UNSIGNED:
    case CODES_BASE3: /* in words only */
        break;
    }
    code = row[at / 8] >> at % 8;
    if (at % 8 + form->bits > 8)
        code |= (unsigned)row[at / 8 + 1] << (8 - at % 8);
    return code & ((1u << form->bits) - 1);
}

/* Code `index` of row `row`, of `count` rows that were read from words of a column. */
static double word_code_at(const struct foreign_form *form, const uint8_t *data,
                           uint64_t count, uint64_t row, uint64_t index)
{
    const uint64_t word = index / form->codes_a_word * count + row;
    const uint64_t at = index % form->codes_a_word * form->bits;

    if (form->codes == CODES_BASE3)
        return keras_code(data[word], index % form->codes_a_word);
    return data[word * form->word_bytes + at / 8] >> at % 8 & ((1u << form->bits) - 1);
}

static void put_value(enum trit_dtype dtype, void *values, uint64_t index, double value)
{
    const float single = (float)value;
    uint16_t half;

    if (dtype == TRIT_F32) {
        memcpy((char *)values + 4 * index, &single, sizeof(single));
        return;
    }
    half = dtype == TRIT_F16 ? f32_to_f16(single) : f32_to_bf16(single);
    memcpy((char *)values + 2 * index, &half, sizeof(half));
}

uint64_t foreign_scale_place(const struct foreign_form *form, uint64_t first,
                             uint64_t count, uint64_t row, uint64_t index)
{
    const uint64_t along = index / form->block_columns;

    if (form->codes_a_word)
        return has_one_scale(form) ? 0 : along * count + row;
    return ((first + row) / form->block_rows - first / form->block_rows) *
               form->scale_columns +
           along;
}

double foreign_code(const struct foreign_form *form, uint64_t count, uint64_t row,
                    uint64_t index, const void *data)
{
    return form->codes_a_word
               ? word_code_at(form, data, count, row, index)
               : code_at(form, (const uint8_t *)data + row * form->row_bytes, index);
}

void foreign_decode(const struct foreign_form *form, uint64_t columns, uint64_t first,
                    uint64_t count, const void *data, const void *scales,
                    const void *biases, void *values)
{
    for (uint64_t row = 0; row < count; row++) {
        for (uint64_t i = 0; i < columns; i++) {
            const uint64_t at = foreign_scale_place(form, first, count, row, i);
            const double scale =
                (double)float_at(form->dtype, scales, at) / form->divisor;
            const double bias = biases ? (double)float_at(form->dtype, biases, at) : 0;
            const double code = foreign_code(form, count, row, i, data);
            const double above =
                code - (double)form->zero - (form->biases_are_zeros ? bias : 0);

            put_value(form->dtype, values, row * columns + i,
                      above * scale + (form->biases_are_zeros ? 0 : bias));
        }
    }
}
