/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/json.h"

#include <jansson.h>

#include "kernels/kernels.h"
#include "proto/json_value.h"
#include "proto/names.h"
#include "json/json.h"

json_t *json_count(size_t tensors)
{
    return json_uint32(tensors > UINT32_MAX ? UINT32_MAX : (uint32_t)tensors);
}

json_t *json_shape(uint32_t rank, const uint64_t *shape)
{
    return json_uint64s(shape, rank);
}

json_t *json_read_config(const char *text, size_t bytes, struct failure *failure)
{
    struct json_fault fault;
    json_t *root = json_read(text, bytes, JSON_READ_INFINITY, &fault);

    if (!root) {
        fail(failure, json_fault_status(&fault), NULL, "line %zu: %s", fault.line,
             fault.words);
    } else if (!json_is_object(root)) {
        json_decref(root);
        root = NULL;
        fail(failure, TRIT_INVALID_ARGUMENT, NULL, "it is not a JSON object");
    }
    return root;
}

bool json_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

bool json_put_terms(json_t *object, const struct layer_terms *terms)
{
    return json_put(object, "encoding", json_string(encoding_name(terms->encoding))) &&
           json_put(object, "group_size", json_uint32(terms->group_size)) &&
           json_put(object, "partial_group",
                    json_string(enum_name(&partial_group_names, terms->partial_group)));
}

json_t *json_entry(const struct tensor_entry *entry)
{
    json_t *object = json_object();
    uint64_t shape[TRIT_RANK_MAX];

    entry_value_shape(entry, shape);
    if (json_put(object, "name", json_string(entry->name)) &&
        json_put(object, "dtype", json_string(entry->type->name)) &&
        json_put(object, "shape", json_shape(entry->rank, shape)))
        return object;
    json_decref(object);
    return NULL;
}
