/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/inspect.h"

#include <jansson.h>

#include "proto/json_value.h"

static json_t *tensor_json(const struct contents *contents, size_t index)
{
    const struct tensor_entry *entry = &contents->table->entries[index];
    const struct content *item = &contents->items[index];
    char text[CONTENT_TEXT_BYTES];
    uint64_t shape[TRIT_RANK_MAX];

    entry_value_shape(entry, shape);
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:b, s:s, s:s, s:s}", "name", entry->name, "dtype",
        entry->type->name, "shape", json_uint64s(shape, entry->rank), "offset",
        json_uint64(entry->offset), "bytes", json_uint64(entry->bytes), "layer",
        item->kind == CONTENT_LAYER, "kind", content_kind_name(item->kind), "role",
        role_name(item->role), "what", content_text(text, contents, index));
}

json_t *inspect_json(const char *file, const struct reader *reader,
                     const struct contents *contents)
{
    const struct tensor_table *table = reader_table(reader);
    json_t *tensors = json_array(), *metadata = json_object();

    for (size_t i = 0; i < table->count; i++)
        json_array_append_new(tensors, tensor_json(contents, i));
    for (size_t i = 0; i < table->pair_count; i++)
        json_object_set_new(metadata, table->pairs[i].key,
                            json_string(table->pairs[i].value));
    return json_pack("{s:o, s:s, s:o, s:o}", "file", json_path(file), "format",
                     reader_format(reader), "metadata", metadata, "tensors", tensors);
}
