/* SPDX-License-Identifier: Apache-2.0 */
#include "files/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/checked.h"
#include "proto/utf8.h"

/* Bound of the strings of the largest header. The worst case are names of one letter,
 * which the arena rounds up: 5 bytes for each byte of the header. */
static const size_t STRING_BYTES_MAX = 5 * (size_t)FILES_HEADER_BYTES_MAX;

void table_init(struct tensor_table *table)
{
    *table = (struct tensor_table){.count = 0};
    arena_init(&table->strings, STRING_BYTES_MAX);
}

void table_fini(struct tensor_table *table)
{
    free(table->entries);
    free(table->pairs);
    free(table->by_name);
    free(table->cuts);
    free(table->values);
    arena_fini(&table->strings);
    table_init(table);
}

bool shape_elements(uint32_t rank, const uint64_t *shape, uint64_t *elements)
{
    uint64_t product = 1;

    for (uint32_t i = 0; i < rank; i++)
        if (mul_overflows(product, shape[i], &product))
            return false;
    *elements = product;
    return true;
}

void entry_value_shape(const struct tensor_entry *entry, uint64_t shape[TRIT_RANK_MAX])
{
    const struct element_type *type = entry->type;

    memcpy(shape, entry->shape, sizeof(entry->shape));
    if (element_type_is_block(type) && entry->rank > 0)
        shape[entry->rank - 1] =
            shape[entry->rank - 1] / type->block_bytes * type->block_values;
}

enum { NAME_BYTES_SHOWN = 64 }; /* of a name that is refused */

static int check_name(const char *name, struct failure *failure)
{
    if (strlen(name) > FILES_NAME_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "name",
                    "a tensor's name has %zu bytes, at most %d are allowed: %.*s...",
                    strlen(name), FILES_NAME_BYTES_MAX,
                    (int)utf8_cut(name, NAME_BYTES_SHOWN), name);
    if (!utf8_is_name(name))
        return fail(failure, TRIT_INVALID_ARGUMENT, "name",
                    "a tensor's name holds a control character or is not UTF-8: %.*s",
                    (int)utf8_cut(name, strnlen(name, NAME_BYTES_SHOWN)), name);
    return 0;
}

static int compute_bytes(struct tensor_entry *entry, struct failure *failure)
{
    uint64_t elements, bits;

    if (entry->rank > TRIT_RANK_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: %u axes, at most %d are allowed", entry->name,
                    entry->rank, TRIT_RANK_MAX);
    if (!shape_elements(entry->rank, entry->shape, &elements) ||
        mul_overflows(elements, entry->type->bits, &bits))
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: the product of its shape overflows", entry->name);
    if (bits % 8 != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: its size is not a whole number of bytes", entry->name);
    if (add_overflows(bits / 8, entry->type->tail_bytes, &entry->bytes))
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: the product of its shape overflows", entry->name);
    return 0;
}

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "out of memory for a tensor table");
}

int table_add(struct tensor_table *table, const struct tensor_entry *entry,
              struct failure *failure)
{
    struct tensor_entry added = *entry;
    struct tensor_entry *entries;

    if (table->count >= FILES_TENSORS_MAX)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "more than %d tensors",
                    FILES_TENSORS_MAX);
    if (check_name(entry->name, failure) != 0 || compute_bytes(&added, failure) != 0)
        return -1;
    entries =
        array_grow(table->entries, &table->capacity, table->count + 1, sizeof(*entries));
    if (!entries)
        return no_memory(failure);
    table->entries = entries;
    added.name = arena_strndup(&table->strings, entry->name, FILES_NAME_BYTES_MAX);
    if (!added.name)
        return no_memory(failure);
    table->entries[table->count++] = added;
    return 0;
}

int table_add_pair(struct tensor_table *table, const char *key, const char *value,
                   struct failure *failure)
{
    struct tensor_pair *pairs;
    char *key_copy, *value_copy;

    if (table->pair_count >= FILES_PAIRS_MAX)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "more than %d metadata entries", FILES_PAIRS_MAX);
    pairs = array_grow(table->pairs, &table->pair_capacity, table->pair_count + 1,
                       sizeof(*pairs));
    if (!pairs)
        return no_memory(failure);
    table->pairs = pairs;
    key_copy = arena_strndup(&table->strings, key, strlen(key));
    value_copy = arena_strndup(&table->strings, value, strlen(value));
    if (!key_copy || !value_copy)
        return no_memory(failure);
    table->pairs[table->pair_count++] =
        (struct tensor_pair){.key = key_copy, .value = value_copy};
    return 0;
}

static int compare_offset(const void *left, const void *right)
{
    const struct tensor_entry *a = left, *b = right;

    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->bytes != b->bytes) /* an empty tensor before the one it touches */
        return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int compare_name(const void *left, const void *right, void *entries)
{
    const struct tensor_entry *e = entries;

    return strcmp(e[*(const size_t *)left].name, e[*(const size_t *)right].name);
}

int table_seal(struct tensor_table *table, struct failure *failure)
{
    size_t *by_name = malloc((table->count + 1) * sizeof(*by_name));

    if (!by_name)
        return no_memory(failure);
    if (table->count)
        qsort(table->entries, table->count, sizeof(*table->entries), compare_offset);
    for (size_t i = 0; i < table->count; i++)
        by_name[i] = i;
    qsort_r(by_name, table->count, sizeof(*by_name), compare_name, table->entries);
    for (size_t i = 1; i < table->count; i++) {
        const char *name = table->entries[by_name[i]].name;

        if (strcmp(table->entries[by_name[i - 1]].name, name) == 0) {
            free(by_name);
            return fail(failure, TRIT_INVALID_ARGUMENT, "name",
                        "two tensors have the name %s", name);
        }
    }
    free(table->by_name);
    table->by_name = by_name;
    return 0;
}

int table_cut(struct tensor_table *table, uint64_t bytes, struct failure *failure)
{
    size_t kept = table->count;
    struct tensor_cut *cuts;

    while (kept > 0 &&
           table->entries[kept - 1].offset + table->entries[kept - 1].bytes > bytes)
        kept--;
    cuts = calloc(table->count - kept, sizeof(*cuts));
    if (!cuts)
        return no_memory(failure);
    for (size_t i = kept; i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];
        const uint64_t found = bytes > entry->offset ? bytes - entry->offset : 0;

        cuts[i - kept] =
            (struct tensor_cut){entry->name, entry->type, entry->bytes, found};
    }
    table->cuts = cuts;
    table->cut_count = table->count - kept;
    table->count = kept;
    return table_seal(table, failure);
}

int table_add_cuts(struct tensor_table *table, const struct tensor_table *from,
                   struct failure *failure)
{
    const size_t count = table->cut_count + from->cut_count;
    struct tensor_cut *cuts;

    if (from->cut_count == 0)
        return 0;
    cuts = realloc(table->cuts, count * sizeof(*cuts));
    if (!cuts)
        return no_memory(failure);
    table->cuts = cuts;
    for (size_t i = 0; i < from->cut_count; i++) {
        struct tensor_cut cut = from->cuts[i];

        cut.name = arena_strndup(&table->strings, cut.name, strlen(cut.name));
        if (!cut.name)
            return no_memory(failure);
        cuts[table->cut_count++] = cut;
    }
    return 0;
}

size_t table_first_of(const struct tensor_table *table, const char *prefix, size_t length)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strncmp(table->entries[table->by_name[middle]].name, prefix, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool table_has_prefix(const struct tensor_table *table, const char *prefix, size_t length)
{
    const size_t first = table_first_of(table, prefix, length);

    return first < table->count &&
           strncmp(table->entries[table->by_name[first]].name, prefix, length) == 0;
}

const struct tensor_entry *table_find(const struct tensor_table *table, const char *name)
{
    /* A name comes before all that it is a prefix of. */
    const size_t first = table_first_of(table, name, strlen(name));
    const struct tensor_entry *entry =
        first < table->count ? &table->entries[table->by_name[first]] : NULL;

    return entry && strcmp(entry->name, name) == 0 ? entry : NULL;
}

const char *table_pair(const struct tensor_table *table, const char *key)
{
    for (size_t i = 0; i < table->pair_count; i++)
        if (strcmp(table->pairs[i].key, key) == 0)
            return table->pairs[i].value;
    return NULL;
}
