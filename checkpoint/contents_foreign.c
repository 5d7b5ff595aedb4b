/* SPDX-License-Identifier: Apache-2.0 */
/* What other programs packed, and the tables that belong to it. */
#include <string.h>

#include "checkpoint/contents_impl.h"

int contents_no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

int contents_unfit(struct classifying *c, struct content *item, const char *why)
{
    item->kind = CONTENT_UNFIT;
    item->unfit = arena_strndup(&c->contents->strings, why, strlen(why));
    return item->unfit ? 0 : contents_no_memory(c->failure);
}

void contents_own(struct contents *contents, size_t part, size_t layer)
{
    if (part == CONTENT_NONE)
        return;
    contents->items[part].kind = CONTENT_SCALES;
    contents->items[part].owner = layer;
}

struct owning {
    struct contents *contents;
    size_t owner;
};

static void own_table(void *arg, size_t index)
{
    struct owning *owning = arg;
    struct content *item = &owning->contents->items[index];

    if (index != owning->owner && item->kind != CONTENT_SCALES &&
        item->kind != CONTENT_FOREIGN_WEIGHT && item->owner == CONTENT_NONE) {
        if (item->kind == CONTENT_LAYER)
            owning->contents->layers--;
        item->kind = CONTENT_FOREIGN_TABLE;
        item->owner = owning->owner;
    }
}

/* Makes a packed weight whose values can be decoded a layer; its values are checked. */
static int read_foreign(struct classifying *c, size_t index)
{
    struct contents *contents = c->contents;
    struct content *item = &contents->items[index];
    const struct checkpoint_options *options = c->options;
    const struct tensor_entry *entry = &contents->table->entries[index];
    char name[FILES_NAME_BYTES_MAX + 1];

    if (c->side != CONTENTS_CLAIM ||
        !foreign_form_of(contents->table, entry, item->packing, options, &item->foreign,
                         &item->dense, &item->layout, &item->scales, &item->biases)) {
        item->foreign = (struct foreign_form){.packing = PACKING_NONE,
                                              .unread = item->foreign.unread};
        item->scales = item->biases = CONTENT_NONE;
        return 0;
    }
    item->kind = CONTENT_LAYER;
    item->terms = (struct layer_terms){.partial_group = contents->terms.partial_group};
    item->terms.group_size = options->group_size
                                 ? options->group_size
                                 : foreign_group_size(&item->foreign, &item->dense);
    contents->layers++;
    contents_own(contents, item->scales, index);
    contents_own(contents, item->biases, index);
    if (packing_dense_name(contents->table, entry->name, name))
        item->dense.name = arena_strndup(&contents->strings, name, strlen(name));
    return item->dense.name ? 0 : contents_no_memory(c->failure);
}

static void measure_foreign(const struct classifying *c, const struct tensor_entry *entry,
                            struct content *item)
{
    struct content layer = *item;

    if (!item->dense.type && foreign_form_of(c->contents->table, entry, item->packing,
                                             c->options, &layer.foreign, &layer.dense,
                                             &layer.layout, &layer.scales, &layer.biases))
        item->dense = layer.dense;
}

static int find_foreign(struct classifying *c, size_t index)
{
    const struct tensor_entry *entry = &c->contents->table->entries[index];
    struct content *item = &c->contents->items[index];
    struct owning owning = {c->contents, index};
    int result = 0;
    const enum selection selection = selection_of(c->options, entry->name);
    const bool excluded = selection == SELECTION_EXCLUDED;

    if (item->kind == CONTENT_KEPT && !excluded && lack_of_matrix(entry, item->role))
        return contents_unfit(c, item, lack_of_matrix(entry, item->role));
    if ((item->kind != CONTENT_KEPT && item->kind != CONTENT_FOREIGN_WEIGHT) ||
        item->owner != CONTENT_NONE || entry->bytes == 0)
        return 0;
    if (item->kind == CONTENT_KEPT)
        item->packing = foreign_packing_of(c->contents->table, entry);
    if (item->packing != PACKING_NONE) {
        item->kind = CONTENT_FOREIGN_WEIGHT;
        packing_visit(c->contents->table, entry, own_table, &owning);
        if (item->role == ROLE_ROUTER && selection != SELECTION_INCLUDED)
            item->kind = CONTENT_KEPT; /* however it is packed */
        else if (excluded && c->side == CONTENTS_CLAIM)
            measure_foreign(c, entry, item);
        else if (!excluded && item->role != ROLE_LORA)
            result = read_foreign(c, index);
    } else if (may_hold_weights(entry, item->role)) {
        item->kind = CONTENT_UNKNOWN_DTYPE;
    }
    if (excluded && item->kind != CONTENT_KEPT)
        item->kind = CONTENT_EXCLUDED;
    return result;
}

/* Of a tensor that is named like a table, but that no packed weight has. */
static enum content_kind kind_of_table(const struct classifying *c,
                                       const struct tensor_entry *entry)
{
    if (c->side != CONTENTS_CLAIM || !packing_is_no_table(c->contents->table, entry))
        return CONTENT_FOREIGN_TABLE;
    return selection_of(c->options, entry->name) == SELECTION_EXCLUDED
               ? CONTENT_EXCLUDED
               : CONTENT_UNKNOWN_DTYPE;
}

int contents_find_foreign(struct classifying *c)
{
    struct contents *contents = c->contents;

    for (size_t i = 0; i < contents->table->count; i++)
        if (find_foreign(c, i) < 0)
            return -1;
    for (size_t i = 0; i < contents->table->count; i++)
        if (contents->items[i].kind == CONTENT_KEPT &&
            contents->items[i].role == ROLE_PACKING_TABLE)
            contents->items[i].kind = kind_of_table(c, &contents->table->entries[i]);
    return 0;
}
