/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/json.h"

#include <jansson.h>

#include "kernels/kernels.h"
#include "proto/names.h"

json_t *json_count(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *json_shape(uint32_t rank, const uint64_t *shape)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < rank; i++)
        if (json_array_append_new(array, json_count(shape[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

bool json_put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

bool json_put_terms(json_t *object, const struct layer_terms *terms)
{
    return json_put(object, "encoding", json_string(encoding_name(terms->encoding))) &&
           json_put(object, "group_size", json_count(terms->group_size)) &&
           json_put(object, "partial_group",
                    json_string(enum_name(&partial_group_names, terms->partial_group)));
}

json_t *json_entry(const struct tensor_entry *entry)
{
    json_t *object = json_object();

    if (json_put(object, "name", json_string(entry->name)) &&
        json_put(object, "dtype", json_string(entry->type->name)) &&
        json_put(object, "shape", json_shape(entry->rank, entry->shape)))
        return object;
    json_decref(object);
    return NULL;
}
