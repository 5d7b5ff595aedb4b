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

/* The keys of a file that say what its weights mean, sorted. */
struct keys {
    const struct tensor_pair **pairs;
    size_t count;
};

static bool is_of_basis(const char *key)
{
    return strstr(key, "hadamard") != NULL;
}

/* Hyperparameters are behind "llama." and the like. */
static bool is_compared(const char *key, const char *architecture)
{
    const size_t length = architecture ? strlen(architecture) : 0;

    return strcmp(key, ARCHITECTURE) == 0 || is_of_basis(key) ||
           (length > 0 && strncmp(key, architecture, length) == 0 && key[length] == '.');
}

static int compare_pair_keys(const void *a, const void *b)
{
    const struct tensor_pair *const *left = a, *const *right = b;

    return strcmp((*left)->key, (*right)->key);
}

static int read_keys(struct keys *keys, const struct tensor_table *table,
                     struct failure *failure)
{
    const char *architecture = table_pair(table, ARCHITECTURE);

    *keys =
        (struct keys){.pairs = malloc((table->pair_count + 1) * sizeof(keys->pairs[0]))};
    if (!keys->pairs)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (size_t i = 0; i < table->pair_count; i++)
        if (is_compared(table->pairs[i].key, architecture))
            keys->pairs[keys->count++] = &table->pairs[i];
    qsort(keys->pairs, keys->count, sizeof(keys->pairs[0]), compare_pair_keys);
    return 0;
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
static int add_lone_key(struct diffing *d, const struct tensor_pair *a,
                        const struct tensor_pair *b)
{
    const char *key = a ? a->key : b->key;

    return is_of_basis(key) ? add_key(d, key, a, b) : 0;
}

static int add_if_different(struct diffing *d, const struct tensor_pair *a,
                            const struct tensor_pair *b)
{
    const int differ = compare_pairs(d, a, b);

    return differ > 0 ? add_key(d, a->key, a, b) : differ;
}

static int compare_sorted(struct diffing *d, const struct keys *a, const struct keys *b)
{
    size_t i = 0, j = 0;
    int result = 0;

    while (result == 0 && (i < a->count || j < b->count)) {
        const int order = i == a->count   ? 1
                          : j == b->count ? -1
                                          : strcmp(a->pairs[i]->key, b->pairs[j]->key);

        if (order < 0)
            result = add_lone_key(d, a->pairs[i++], NULL);
        else if (order > 0)
            result = add_lone_key(d, NULL, b->pairs[j++]);
        else
            result = add_if_different(d, a->pairs[i++], b->pairs[j++]);
    }
    return result;
}

int diff_keys(struct diffing *d)
{
    const struct tensor_table *left = d->a.contents.table, *right = d->b.contents.table;
    struct keys a, b = {.pairs = NULL};
    int result = -1;

    if (!table_is_gguf(left) || !table_is_gguf(right))
        return 0;
    if (read_keys(&a, left, &d->failure) == 0 && read_keys(&b, right, &d->failure) == 0)
        result = compare_sorted(d, &a, &b);
    free(a.pairs);
    free(b.pairs);
    return result;
}
