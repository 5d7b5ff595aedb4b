/* SPDX-License-Identifier: Apache-2.0 */
#include "files/pairs.h"

#include <jansson.h>

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

/* Is the pair new? -1: memory ran out. */
static int note_pair(json_t *seen, const struct tensor_pair *pair,
                     struct failure *failure)
{
    json_t *values = json_object_get(seen, pair->key);

    if (json_object_get(values, pair->value))
        return 0;
    if (!values) {
        values = json_object();
        if (json_object_set_new_nocheck(seen, pair->key, values) < 0)
            return no_memory(failure);
    }
    return json_object_set_new_nocheck(values, pair->value, json_true()) < 0
               ? no_memory(failure)
               : 1;
}

static int add_pair(struct tensor_table *table, size_t shard,
                    const struct tensor_pair *pair, struct failure *failure)
{
    if (table_add_pair(table, pair->key, pair->value, failure) < 0)
        return -1;
    struct tensor_pair *added = &table->pairs[table->pair_count - 1];
    added->shard = (uint32_t)shard;
    added->offset = pair->offset;
    added->bytes = pair->bytes;
    return 0;
}

int pairs_merge(struct tensor_table *table, json_t *seen, size_t shard,
                const struct tensor_table *from, struct failure *failure)
{
    for (size_t i = 0; i < from->pair_count; i++) {
        const int found = note_pair(seen, &from->pairs[i], failure);

        if (found < 0 || (found && add_pair(table, shard, &from->pairs[i], failure) < 0))
            return -1;
    }
    return 0;
}
