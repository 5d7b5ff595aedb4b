/* SPDX-License-Identifier: Apache-2.0 */
/* 1. Layers with their scales: those that the record names; without a record, those that
 * rules and patterns choose and whose type the encoding can have. 2. Packed weights of
 * other programs among the rest, and their tables. 3. All other tensors are kept, and the
 * role says why. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "checkpoint/config.h"
#include "checkpoint/contents_impl.h"
#include "checkpoint/gguf_names.h"
#include "checkpoint/keras_names.h"
#include "checkpoint/scale_beside.h"

static const size_t STRING_BYTES_MAX = 64u << 20;

static bool has_record(const struct contents *contents)
{
    return contents->record && contents->record->layers;
}

/* ---- 1. layers ----------------------------------------------------------------- */

static enum experts_layout experts_layout(const struct classifying *c)
{
    if (table_is_gguf(c->contents->table))
        return EXPERTS_OUT_IN; /* the only order that llama.cpp has */
    if (c->options->experts != EXPERTS_UNKNOWN || !c->options->config)
        return c->options->experts;
    return c->options->config->experts;
}

/* Is the layout of this tensor of experts known? What may be a convolution has none, unless an
 * option gives it. */
static bool has_layout(const struct classifying *c, const struct tensor_entry *entry)
{
    return c->options->experts != EXPERTS_UNKNOWN ||
           (experts_layout(c) != EXPERTS_UNKNOWN && !may_be_convolution(entry));
}

/* How a dense tensor holds the matrices of a layer. */
static enum layer_layout layout_of(const struct classifying *c,
                                   const struct tensor_entry *entry,
                                   enum tensor_role role)
{
    if (role == ROLE_EXPERTS)
        return experts_layout(c) == EXPERTS_IN_OUT ? LAYOUT_EXPERTS_IN_OUT
                                                   : LAYOUT_EXPERTS_OUT_IN;
    if (entry->rank == 2 &&
        (patterns_match(&c->options->transposed, entry->name) ||
         config_transposes(c->options->config, entry->name) ||
         (table_is_keras(c->contents->table) && keras_kind(entry) == KERAS_KERNEL)))
        return LAYOUT_IN_OUT;
    return LAYOUT_OUT_IN;
}

/* llama.cpp stores embeddings and head of a ternary model in types of their own: those that
 * are not in blocks are kept. */
static bool is_dense_among_blocks(const struct classifying *c,
                                  const struct tensor_entry *entry)
{
    return c->side == CONTENTS_CLAIM && table_is_gguf(c->contents->table) &&
           encoding_block(c->contents->terms.encoding) > 1 &&
           !element_type_is_block(entry->type);
}

/* hf_bitnet keeps embeddings and head dense, unless a claim has them packed as its layers are. */
static bool is_kept_dense(const struct classifying *c, const struct tensor_entry *entry)
{
    return encoding_keeps_embeddings(c->contents->terms.encoding) &&
           !(c->side == CONTENTS_CLAIM && type_is_packed(entry->type));
}

/* Do role, rank and patterns make it a layer, whatever its type? */
static bool chosen(const struct classifying *c, const struct tensor_entry *entry,
                   enum tensor_role role, enum selection selection)
{
    const enum trit_encoding encoding = c->contents->terms.encoding;

    if (entry->bytes == 0 || entry->rank < 2 || entry->rank > 4 ||
        role == ROLE_PACKING_TABLE)
        return false;
    if (role == ROLE_EXPERTS)
        return has_layout(c, entry) &&
               (c->side == CONTENTS_CLAIM || !encoding_keeps_embeddings(encoding));
    if (entry->rank > 2)
        return c->options->convolutions && role == ROLE_CONVOLUTION;
    if (selection == SELECTION_INCLUDED)
        return true;
    if ((role == ROLE_EMBEDDING || role == ROLE_HEAD) &&
        (is_kept_dense(c, entry) || is_dense_among_blocks(c, entry)))
        return false;
    return role_is_layer(role) || (role == ROLE_CONVOLUTION && c->options->convolutions);
}

/* Index of the scales or biases with this name, or CONTENT_NONE; -1 if they have another
 * form. */
static int find_table(const struct classifying *c, const char *name,
                      const struct encoded_form *form, size_t *index)
{
    const struct tensor_entry *found = table_find(c->contents->table, name);

    if (!found)
        return 0;
    if (!scales_fit(&form->scales, found))
        return -1;
    *index = (size_t)(found - c->contents->table->entries);
    return 0;
}

/* Is it the type of the encoding's data, or GGUF's type of the same blocks? */
static bool type_is_form(const struct element_type *type, const struct element_type *form,
                         enum trit_encoding encoding)
{
    enum trit_encoding blocks;

    return type_encoding(type, &blocks) ? blocks == encoding : type == form;
}

/* The tensors must be what the encoding makes of item->dense. */
static int fit_layer(struct classifying *c, const struct tensor_entry *entry,
                     struct content *item)
{
    struct failure why = {.status = TRIT_OK};
    struct encoded_form form;
    uint64_t elements;
    char name[SCALES_NAME_BYTES];

    if (encoded_form(&item->terms, &item->dense, item->layout, &form, &why) < 0)
        return contents_unfit(c, item, why.message);
    if (!shape_elements(form.data.rank, form.data.shape, &elements) ||
        !type_is_form(entry->type, form.data.type, item->terms.encoding) ||
        entry->rank != form.data.rank ||
        memcmp(entry->shape, form.data.shape, entry->rank * sizeof(entry->shape[0])) ||
        entry->bytes !=
            elements * (form.data.type->bits / 8) + form.data.type->tail_bytes)
        return contents_unfit(c, item, "its type or shape is not that of its encoding");
    item->kind = CONTENT_LAYER;
    item->wants_scales = form.scales.type != NULL;
    item->wants_biases = form.biases.type != NULL;
    if (!item->wants_scales)
        return 0;
    scales_name(item->terms.encoding, entry->name, name);
    if (find_table(c, name, &form, &item->scales) < 0)
        return contents_unfit(c, item,
                              item->terms.group_size
                                  ? "its scales are not one F32, F16 or BF16 per group"
                                  : "its scale is not one F32, F16 or BF16");
    if (!item->wants_biases)
        return 0;
    biases_name(entry->name, name);
    if (find_table(c, name, &form, &item->biases) < 0 ||
        (item->scales != CONTENT_NONE && item->biases != CONTENT_NONE &&
         c->contents->table->entries[item->scales].type !=
             c->contents->table->entries[item->biases].type))
        return contents_unfit(c, item,
                              "its biases do not have the type and shape of its scales");
    return 0;
}

/* Has it, of the tables of a packing, only MLX's biases? Then its scales are missing. */
static bool lacks_mlx_scales(const struct classifying *c,
                             const struct tensor_entry *entry)
{
    const struct tensor_table *table = c->contents->table;
    const struct mlx_terms told = config_mlx_terms(c->options->config, entry->name);
    char name[SCALES_NAME_BYTES];

    if (c->contents->terms.encoding != TRIT_ENCODING_MLX_2BIT || told.other ||
        (told.bits && told.bits != 2))
        return false;
    biases_name(entry->name, name);
    const struct tensor_entry *biases = table_find(table, name);
    return biases && foreign_has_only(table, entry, CONTENT_NONE,
                                      (size_t)(biases - table->entries));
}

/* Without a record: is it a layer in the encoding of the terms? A weight that has the
 * tables of another packing is not. */
static int find_claimed(struct classifying *c, const struct tensor_entry *entry,
                        struct content *item)
{
    const struct tensor_table *table = c->contents->table;
    const enum trit_encoding encoding = c->contents->terms.encoding;
    struct failure why = {.status = TRIT_OK};
    enum trit_encoding blocks;
    char name[SCALES_NAME_BYTES];

    if (type_encoding(entry->type, &blocks))
        item->terms = (struct layer_terms){
            .encoding = blocks,
            .group_size = c->options->group_size && group_size_default(blocks)
                              ? c->options->group_size
                              : type_group(entry->type),
            .partial_group = c->contents->terms.partial_group};
    else if (type_holds(entry->type, encoding))
        item->terms = c->contents->terms;
    else if (type_holds(entry->type, TRIT_ENCODING_DENSE))
        item->terms = (struct layer_terms){.group_size = GROUP_SIZE_DEFAULT};
    else
        return 0;
    if (type_is_packed(entry->type)) {
        scales_name(encoding, entry->name, name);
        const struct tensor_entry *scales = table_find(table, name);

        if (foreign_packing_of(table, entry) != PACKING_NONE && !scales &&
            !lacks_mlx_scales(c, entry))
            return 0;
        /* MLX packs some layers of a model with other numbers of bits. */
        if (encoding == TRIT_ENCODING_MLX_2BIT && !c->options->has_encoding && scales &&
            foreign_mlx_differs(c->options->config, c->contents->terms.group_size, entry,
                                scales))
            return 0;
    }
    if (encoding_keeps_layout(item->terms.encoding))
        item->layout = layout_of(c, entry, item->role);
    else if (item->role == ROLE_EXPERTS)
        item->layout = LAYOUT_EXPERTS_OUT_IN;
    if (dense_form(item->terms.encoding, entry, &item->dense, &why) < 0)
        return contents_unfit(c, item, why.message);
    return fit_layer(c, entry, item);
}

static int find_recorded(struct classifying *c, const struct tensor_entry *entry,
                         struct content *item)
{
    int found = record_find(c->contents->record, entry->name, &item->dense, &item->layout,
                            c->failure);

    if (found < 0)
        return fail_context(c->failure, "%s", entry->name);
    if (found == 0) {
        item->kind = CONTENT_KEPT_BY_RECORD;
        return 0;
    }
    if (record_terms(c->contents->record, entry->name, &item->terms, c->failure) < 0)
        return fail_context(c->failure, "%s", entry->name);
    return fit_layer(c, entry, item);
}

static bool is_recorded(const struct contents *contents, const char *name)
{
    return has_record(contents) && record_names(contents->record, name);
}

/* The weights of an excluded layer count as many as they are, not as their words. */
static void measure_recorded(const struct classifying *c,
                             const struct tensor_entry *entry, struct content *item)
{
    struct failure why = {.status = TRIT_OK};
    struct classifying own = {c->contents, c->options, c->side, &why};
    struct content layer = *item;

    if (c->side == CONTENTS_CLAIM && is_recorded(c->contents, entry->name) &&
        find_recorded(&own, entry, &layer) == 0 && content_is_complete(&layer))
        item->dense = layer.dense;
}

/* An excluded weight of a packed type, in a file without a record: is it encoded like the
 * file's layers? */
static int find_excluded(struct classifying *c, const struct tensor_entry *entry,
                         struct content *item)
{
    struct content layer = *item;

    if (find_claimed(c, entry, &layer) < 0)
        return -1;
    if (!content_is_complete(&layer) ||
        !foreign_has_only(c->contents->table, entry, layer.scales, layer.biases))
        return 0;
    item->stays_encoded = true;
    item->terms = layer.terms;
    item->layout = layer.layout;
    item->dense = layer.dense;
    return 0;
}

/* A tensor, and what decides whether it is a layer. */
struct candidate {
    const struct tensor_entry *entry;
    struct content *item;
    enum selection selection;
    bool recorded; /* the record names it */
    bool is_float; /* dense weights that no program packed */
    bool by_rules; /* a layer, unless a pattern says otherwise */
};

/* A pattern excludes it: does it stay as one that would be a layer? */
static int leave_out(struct classifying *c, const struct candidate *tensor)
{
    const bool is_claim = c->side == CONTENTS_CLAIM;

    if ((tensor->is_float && (tensor->by_rules || tensor->item->role == ROLE_EXPERTS)) ||
        (tensor->recorded && is_claim))
        tensor->item->kind = CONTENT_EXCLUDED;
    measure_recorded(c, tensor->entry, tensor->item);
    return is_claim && tensor->by_rules && !tensor->is_float && !has_record(c->contents)
               ? find_excluded(c, tensor->entry, tensor->item)
               : 0;
}

/* Why a tensor that a pattern includes needs an option to be a layer; NULL: it does not. */
static const char *lack_of_option(const struct classifying *c,
                                  const struct candidate *tensor)
{
    if (tensor->selection != SELECTION_INCLUDED || !tensor->is_float)
        return NULL;
    if (tensor->item->role == ROLE_CONVOLUTION && !c->options->convolutions)
        return "a convolution: --convolutions takes it as [out, in*kernel], "
               "--exclude leaves it out";
    if (tensor->item->role == ROLE_EXPERTS && !has_layout(c, tensor->entry))
        return "experts of rank 3: --experts out_in or in_out says how their "
               "matrices lie";
    return NULL;
}

/* Rules or patterns make it a layer, if its type can be one. */
static int take_chosen(struct classifying *c, const struct candidate *tensor)
{
    const struct tensor_entry *entry = tensor->entry;
    struct content *item = tensor->item;

    if (c->side == CONTENTS_CLAIM && has_record(c->contents))
        return tensor->is_float ? find_recorded(c, entry, item) : 0;
    if (c->side == CONTENTS_CLAIM)
        return tensor->is_float || !type_holds(entry->type, TRIT_ENCODING_DENSE)
                   ? find_claimed(c, entry, item)
                   : 0;
    if (tensor->is_float) {
        item->kind = CONTENT_LAYER;
        item->terms = c->contents->terms;
        item->dense = *entry;
        item->layout = layout_of(c, entry, item->role);
    }
    return 0;
}

static int find_layer(struct classifying *c, size_t index)
{
    const struct tensor_entry *entry = &c->contents->table->entries[index];
    struct content *item = &c->contents->items[index];
    const struct candidate tensor = {
        .entry = entry,
        .item = item,
        .selection = selection_of(c->options, entry->name),
        .recorded = is_recorded(c->contents, entry->name),
        .is_float = type_holds(entry->type, TRIT_ENCODING_DENSE) &&
                    packing_in_floats(c->contents->table, entry) == PACKING_NONE,
        .by_rules = chosen(c, entry, item->role, SELECTION_DEFAULT)};

    if (c->side == CONTENTS_LATENTS && tensor.recorded && !tensor.is_float) {
        item->kind = CONTENT_FOREIGN_WEIGHT;
        item->packing = PACKING_TRIT;
        return 0;
    }
    if (tensor.selection == SELECTION_EXCLUDED)
        return leave_out(c, &tensor);
    item->included = tensor.selection == SELECTION_INCLUDED && !tensor.by_rules &&
                     tensor.is_float && chosen(c, entry, item->role, SELECTION_INCLUDED);
    if (c->side == CONTENTS_CLAIM && tensor.recorded)
        return find_recorded(c, entry, item);
    const char *lack = lack_of_option(c, &tensor);

    if (lack)
        return contents_unfit(c, item, lack);
    if (!tensor.by_rules && !chosen(c, entry, item->role, tensor.selection))
        return 0;
    return take_chosen(c, &tensor);
}

static bool is_of_layer(const void *contents, size_t index)
{
    return ((const struct contents *)contents)->items[index].kind == CONTENT_SCALES;
}

static void disown_part(struct contents *contents, size_t part)
{
    if (part == CONTENT_NONE)
        return;
    contents->items[part].kind = CONTENT_KEPT;
    contents->items[part].owner = CONTENT_NONE;
}

/* With further tables, such as zero points, a packed weight has other values. Scales of other
 * layers may have names of such tables. */
static void leave_to_others(struct contents *contents, size_t index)
{
    const struct tensor_entry *entry = &contents->table->entries[index];
    struct content *item = &contents->items[index];

    if (item->kind != CONTENT_LAYER || !type_is_packed(entry->type) ||
        foreign_has_known(contents->table, entry, is_of_layer, contents))
        return;
    item->kind = CONTENT_FOREIGN_WEIGHT;
    item->packing = PACKING_OTHER;
    disown_part(contents, item->scales);
    disown_part(contents, item->biases);
    item->scales = item->biases = CONTENT_NONE;
    contents->layers--;
}

/* Options tell a convolution from experts where the tensor does not. */
static enum tensor_role role_of(const struct classifying *c,
                                const struct tensor_entry *entry)
{
    const enum tensor_role role = tensor_role(c->contents->table, entry);

    return role == ROLE_EXPERTS && c->options->convolutions &&
                   c->options->experts == EXPERTS_UNKNOWN && may_be_convolution(entry)
               ? ROLE_CONVOLUTION
               : role;
}

static int find_layers(struct classifying *c)
{
    struct contents *contents = c->contents;

    for (size_t i = 0; i < contents->table->count; i++) {
        contents->items[i] =
            (struct content){.kind = CONTENT_KEPT,
                             .role = role_of(c, &contents->table->entries[i]),
                             .owner = CONTENT_NONE,
                             .scales = CONTENT_NONE,
                             .biases = CONTENT_NONE,
                             .beside = CONTENT_NONE};
        if (find_layer(c, i) < 0)
            return -1;
    }
    for (size_t i = 0; i < contents->table->count; i++) {
        if (contents->items[i].kind != CONTENT_LAYER)
            continue;
        contents->layers++;
        contents_own(contents, contents->items[i].scales, i);
        contents_own(contents, contents->items[i].biases, i);
    }
    for (size_t i = 0; i < contents->table->count; i++)
        leave_to_others(contents, i);
    return 0;
}

/* ---- the whole -------------------------------------------------------------------- */

int contents_create(struct contents *contents, const struct checkpoint_options *options,
                    enum contents_side side, const struct layer_terms *terms,
                    const struct tensor_table *table, const struct record *record,
                    struct failure *failure)
{
    struct classifying c = {contents, options, side, failure};

    *contents = (struct contents){.table = table, .terms = *terms, .record = record};
    arena_init(&contents->strings, STRING_BYTES_MAX);
    if (terms_check(terms, failure) < 0)
        return -1;
    contents->items = calloc(table->count + 1, sizeof(*contents->items));
    contents->online = options->config && options->config->online;
    if (options->config && options->config->quant_method[0])
        contents->quant_method =
            arena_strndup(&contents->strings, options->config->quant_method,
                          sizeof(options->config->quant_method));
    if (!contents->items)
        return contents_no_memory(failure);
    if (find_layers(&c) < 0 || contents_find_foreign(&c) < 0)
        return -1;
    if (side == CONTENTS_CLAIM)
        contents_find_scales_beside(contents);
    for (size_t i = 0; i < table->count; i++) {
        struct content *item = &contents->items[i];

        item->not_included = item->kind == CONTENT_EXCLUDED &&
                             !patterns_match(&options->exclude, table->entries[i].name);
        item->unpacked = item->kind == CONTENT_LAYER && side == CONTENTS_CLAIM &&
                         config_keeps_dense(options->config, table->entries[i].name);
    }
    return 0;
}
