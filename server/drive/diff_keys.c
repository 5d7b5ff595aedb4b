/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of two GGUF files that say what their weights mean: the architecture, its
 * hyperparameters, and the basis of rotated weights. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/gguf_names.h"
#include "checkpoint/json.h"
#include "drive/diff_impl.h"

static const char ARCHITECTURE[] = "general.architecture";

static const struct tensor_pair *find_pair(const struct tensor_table *table,
                                           const char *key)
{
    for (size_t i = 0; i < table->pair_count; i++)
        if (strcmp(table->pairs[i].key, key) == 0)
            return &table->pairs[i];
    return NULL;
}

static bool is_of_basis(const char *key)
{
    return strstr(key, "hadamard") != NULL;
}

/* Does the key say what the weights mean? Hyperparameters are behind "llama." and the like. */
static bool is_compared(const struct tensor_table *table, const char *key)
{
    const char *architecture = table_pair(table, ARCHITECTURE);
    const size_t length = architecture ? strlen(architecture) : 0;

    return strcmp(key, ARCHITECTURE) == 0 || is_of_basis(key) ||
           (length > 0 && strncmp(key, architecture, length) == 0 && key[length] == '.');
}

/* The bytes of a value; NULL: *failure says why. */
static uint8_t *read_value(const struct side *side, const struct tensor_pair *pair,
                           struct failure *failure)
{
    uint8_t *bytes = malloc(pair->bytes);

    if (!bytes) {
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return NULL;
    }
    if (reader_read_pair(side->input.reader, pair, bytes, failure) == 0)
        return bytes;
    free(bytes);
    return NULL;
}

/* Of an array the table has only its type and length. 1: the values differ. */
static int compare_arrays(struct diffing *d, const struct tensor_pair *a,
                          const struct tensor_pair *b)
{
    uint8_t *left, *right = NULL;
    int differ = -1;

    if (a->bytes != b->bytes)
        return 1;
    left = read_value(&d->a, a, &d->failure);
    if (left)
        right = read_value(&d->b, b, &d->failure);
    if (right)
        differ = memcmp(left, right, a->bytes) != 0;
    free(left);
    free(right);
    return differ;
}

/* 1: they differ. Numbers are compared by value, whatever their types are. */
static int compare_pairs(struct diffing *d, const struct tensor_pair *a,
                         const struct tensor_pair *b)
{
    if (strcmp(a->value, b->value) != 0)
        return 1;
    return a->value[0] == '[' && a->bytes && b->bytes ? compare_arrays(d, a, b) : 0;
}

static int add_key(struct diffing *d, const char *key, const struct tensor_pair *a,
                   const struct tensor_pair *b)
{
    json_t *json = json_pack("{s:s, s:s*, s:s*}", "key", key, "a", a ? a->value : NULL,
                             "b", b ? b->value : NULL);

    if (json_array_append_new(d->keys, json) < 0)
        return fail(&d->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    if (d->key)
        d->key(d->owner, key, a ? a->value : NULL, b ? b->value : NULL);
    return 0;
}

/* A key of one side alone counts if it is of the basis. Writers leave out hyperparameters that
 * have the reader's default. */
int diff_keys(struct diffing *d)
{
    const struct tensor_table *left = d->a.contents.table, *right = d->b.contents.table;

    if (!table_is_gguf(left) || !table_is_gguf(right))
        return 0;
    for (size_t i = 0; i < left->pair_count; i++) {
        const struct tensor_pair *a = &left->pairs[i], *b = find_pair(right, a->key);
        const int differ = b ? compare_pairs(d, a, b) : is_of_basis(a->key);

        if (differ < 0 ||
            (differ && is_compared(left, a->key) && add_key(d, a->key, a, b) < 0))
            return -1;
    }
    for (size_t i = 0; i < right->pair_count; i++) {
        const struct tensor_pair *b = &right->pairs[i];

        if (is_of_basis(b->key) && !find_pair(left, b->key) &&
            add_key(d, b->key, NULL, b) < 0)
            return -1;
    }
    return 0;
}
