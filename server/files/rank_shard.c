/* SPDX-License-Identifier: Apache-2.0 */
#include "files/rank_shard.h"

#include <fnmatch.h>
#include <jansson.h>
#include <string.h>

#include "json/json.h"

static const char KEY[] = "DCP_SHARDING_INFO";

/* {"q_proj.weight": {"saved_offsets": [32, 0]}}: 1 if a tensor begins behind 0. What is no
 * such JSON says nothing. */
static int has_offset(const char *text, struct failure *failure)
{
    struct json_fault fault;
    json_t *tensors = json_read(text, strlen(text), 0, &fault), *tensor, *offset;
    const char *name;
    int found = 0;
    size_t axis;

    if (!tensors && fault.kind == JSON_FAULT_MEMORY)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    json_object_foreach(tensors, name, tensor)
        json_array_foreach(json_object_get(tensor, "saved_offsets"), axis, offset)
            found |= json_integer_value(offset) != 0;
    json_decref(tensors);
    return found;
}

int rank_shard_check(const struct tensor_table *table, const char *name,
                     struct failure *failure)
{
    const char *info = table_pair(table, KEY);

    if (!info)
        return 0;
    const bool named = fnmatch("shard-[0-9]*-*", name, FNM_PATHNAME) == 0;
    const int found = named ? 1 : has_offset(info, failure);
    if (found <= 0)
        return found;
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "it holds one rank's parts of the tensors (%s); join the shards with "
                "consolidate_safetensors_files of torch.distributed.checkpoint",
                KEY);
}
