/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of a file, by options, record and config.json, or by its tables. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "checkpoint/config.h"
#include "checkpoint/contents.h"

/* Are the layers of this model what trit writes as mlx_2bit? MLX has groups of 32 too; such
 * weights are decoded like those of other widths. */
static bool is_mlx_2bit(const struct model_config *config)
{
    const struct layer_terms told = {.encoding = TRIT_ENCODING_MLX_2BIT,
                                     .group_size = config->group_size};
    struct failure why = {.status = TRIT_OK};

    return config->bits == 2 && (told.group_size == 0 || terms_check(&told, &why) == 0);
}

struct layer_terms terms_of(const struct checkpoint_options *options,
                            const struct record *record)
{
    struct layer_terms terms = {.encoding = TRIT_ENCODING_DENSE};

    if (record && record->layers)
        terms = record->terms;
    else if (record && options->config && is_mlx_2bit(options->config))
        terms = (struct layer_terms){.encoding = TRIT_ENCODING_MLX_2BIT,
                                     .group_size = options->config->group_size};
    else if (record && options->config &&
             strcmp(options->config->quant_method, "bitnet") == 0)
        terms.encoding = TRIT_ENCODING_HF_BITNET;
    if (options->has_encoding)
        terms.encoding = options->encoding;
    if (options->has_partial_group)
        terms.partial_group = options->partial_group;
    if (options->group_size)
        terms.group_size = options->group_size;
    else if (terms.group_size == 0 || group_size_default(terms.encoding) == 0)
        terms.group_size = group_size_default(terms.encoding);
    return terms;
}

/* Weights in the group of an int8 layer, from the shape of its scales; 0: unknown. */
static uint32_t int8_group(const struct tensor_table *table,
                           const struct tensor_entry *entry)
{
    char name[SCALES_NAME_BYTES];

    scales_name(TRIT_ENCODING_INT8, entry->name, name);
    const struct tensor_entry *scales = table_find(table, name);
    if (!scales || entry->rank != 2 || scales->rank != 2 || scales->shape[1] == 0 ||
        scales->shape[0] != entry->shape[0] ||
        !type_holds(scales->type, TRIT_ENCODING_DENSE))
        return 0;
    if (scales->shape[1] == div_up(entry->shape[1], GROUP_SIZE_DEFAULT))
        return GROUP_SIZE_DEFAULT;
    const uint64_t size = entry->shape[1] / scales->shape[1];
    return entry->shape[1] % scales->shape[1] == 0 && size > 1 && size <= UINT32_MAX
               ? (uint32_t)size
               : 0;
}

/* Is one scale the only table of the weight? */
static bool is_bitnet(const struct tensor_table *table, const struct tensor_entry *entry)
{
    char name[SCALES_NAME_BYTES];

    scales_name(TRIT_ENCODING_HF_BITNET, entry->name, name);
    const struct tensor_entry *scale = table_find(table, name);
    return entry->rank == 2 && scale && type_holds(scale->type, TRIT_ENCODING_DENSE) &&
           foreign_packing_of(table, entry) == PACKING_HF_BITNET;
}

/* The first weight whose encoding is evident decides. */
static bool find_terms(const struct tensor_table *table, struct layer_terms *terms)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];

        if (type_holds(entry->type, TRIT_ENCODING_HF_BITNET) && is_bitnet(table, entry)) {
            *terms = (struct layer_terms){.encoding = TRIT_ENCODING_HF_BITNET};
            return true;
        }
        if (type_holds(entry->type, TRIT_ENCODING_INT8) &&
            foreign_packing_of(table, entry) == PACKING_INT8) {
            const uint32_t size = int8_group(table, entry);

            if (size == 0)
                continue;
            *terms =
                (struct layer_terms){.encoding = TRIT_ENCODING_INT8, .group_size = size};
            return true;
        }
    }
    return false;
}

/* The same by tensors of which the file holds only a part: a U8 weight whose scale is there. */
static bool find_cut_terms(const struct tensor_table *table, struct layer_terms *terms)
{
    char name[SCALES_NAME_BYTES];

    for (size_t i = 0; i < table->cut_count; i++) {
        scales_name(TRIT_ENCODING_HF_BITNET, table->cuts[i].name, name);
        if (type_holds(table->cuts[i].type, TRIT_ENCODING_HF_BITNET) &&
            table_find(table, name)) {
            *terms = (struct layer_terms){.encoding = TRIT_ENCODING_HF_BITNET};
            return true;
        }
    }
    return false;
}

/* The type of the first tensor in blocks, also if it is cut off; NULL: there is none. */
static const struct element_type *block_type(const struct tensor_table *table)
{
    enum trit_encoding blocks;

    for (size_t i = 0; i < table->count; i++)
        if (type_encoding(table->entries[i].type, &blocks))
            return table->entries[i].type;
    for (size_t i = 0; i < table->cut_count; i++)
        if (type_encoding(table->cuts[i].type, &blocks))
            return table->cuts[i].type;
    return NULL;
}

struct layer_terms terms_of_claim(const struct checkpoint_options *options,
                                  const struct record *record,
                                  const struct tensor_table *table)
{
    struct layer_terms terms = terms_of(options, record), found;
    const struct element_type *type = block_type(table);
    enum trit_encoding blocks;

    if (type && type_encoding(type, &blocks))
        return (struct layer_terms){
            .encoding = blocks,
            .group_size = options->group_size ? options->group_size : type_group(type),
            .partial_group = terms.partial_group};
    /* A block has one scale, so its weights are one group. */
    if (options->has_encoding && !options->group_size && terms.group_size != 0 &&
        terms.group_size < encoding_block(terms.encoding))
        terms.group_size = encoding_block(terms.encoding);
    if (options->has_encoding || options->group_size || (record && record->layers) ||
        terms.encoding != TRIT_ENCODING_DENSE ||
        (options->config && options->config->quant_method[0]))
        return terms;
    if (find_terms(table, &found) || find_cut_terms(table, &found)) {
        found.partial_group = terms.partial_group;
        return found;
    }
    return terms;
}
