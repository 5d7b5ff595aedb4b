/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of one tensor of a file. */
#include "checkpoint/contents.h"

#include <stdlib.h>

bool content_may_fail(const struct content *layer)
{
    return content_matrices(layer).columns > 1;
}

struct matrices content_matrices(const struct content *layer)
{
    struct matrices matrices =
        matrices_of(layer->layout, layer->dense.rank, layer->dense.shape);

    matrices.heads = layer->heads;
    return matrices;
}

enum trit_dtype content_dtype(const struct contents *contents, size_t index)
{
    const struct content *item = &contents->items[index];

    return content_is_foreign(item) ? item->foreign.dtype
                                    : contents->table->entries[index].type->dtype;
}

uint64_t content_parameters(const struct contents *contents, size_t index)
{
    const struct content *item = &contents->items[index];
    const struct tensor_entry *entry = &contents->table->entries[index];
    uint64_t shape[TRIT_RANK_MAX], elements;

    if (item->kind == CONTENT_SCALES || item->kind == CONTENT_FOREIGN_TABLE)
        return 0;
    if (item->kind == CONTENT_LAYER ||
        (item->kind == CONTENT_EXCLUDED && item->dense.type))
        entry = &item->dense;
    entry_value_shape(entry, shape);
    return shape_elements(entry->rank, shape, &elements) ? elements : 0;
}

void contents_destroy(struct contents *contents)
{
    free(contents->items);
    arena_fini(&contents->strings);
    *contents = (struct contents){.items = NULL};
}
