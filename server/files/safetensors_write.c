/* SPDX-License-Identifier: Apache-2.0 */
/* Writes safetensors: 8 bytes of header length, the header padded with spaces to a
 * multiple of 8, then the data. The widest elements come first, so that every tensor
 * is aligned to its elements. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/number.h"
#include "files/formats.h"
#include "json/json.h"

enum { LENGTH_BYTES = 8 };

/* The alignment of an element in bytes; 0 for elements of 4 and 6 bits, which come
 * last. */
static uint32_t alignment_of(const struct tensor_entry *entry)
{
    return entry->type->bits / 8;
}

/* Offsets from the start of the data. Passes by descending alignment keep the
 * table's order inside each width. */
static int place_tensors(struct tensor_table *table, struct failure *failure)
{
    static const uint32_t widths[] = {8, 4, 2, 1, 0};
    uint64_t end = 0;

    for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
        for (size_t i = 0; i < table->count; i++) {
            struct tensor_entry *entry = &table->entries[i];

            if (alignment_of(entry) != widths[w])
                continue;
            entry->offset = end;
            /* The system's offsets are signed. */
            if (add_overflows(end, entry->bytes, &end) || end > INT64_MAX / 2)
                return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                            "the tensors are too large for one file");
        }
    return 0;
}

static int check_types(const struct tensor_table *table, struct failure *failure)
{
    for (size_t i = 0; i < table->count; i++)
        if (element_type_is_block(table->entries[i].type))
            return fail(failure, TRIT_INVALID_ARGUMENT, "dtype",
                        "tensor %s: safetensors has no type %s, in which GGUF stores it",
                        table->entries[i].name, table->entries[i].type->name);
    return 0;
}

static json_t *entry_json(const struct tensor_entry *entry)
{
    json_t *shape = json_array();

    for (uint32_t i = 0; i < entry->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)entry->shape[i])) < 0) {
            json_decref(shape);
            return NULL;
        }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", entry->type->name, "shape", shape,
                     "data_offsets", (json_int_t)entry->offset,
                     (json_int_t)(entry->offset + entry->bytes));
}

/* NULL: out of memory. */
static json_t *header_json(const struct tensor_table *table)
{
    json_t *header = json_object(), *pairs = NULL;
    int result = header ? 0 : -1;

    if (table->pair_count) {
        pairs = json_object();
        result |= json_object_set_new(header, "__metadata__", pairs);
    }
    for (size_t i = 0; i < table->pair_count && result == 0; i++)
        result |= json_object_set_new(pairs, table->pairs[i].key,
                                      json_string(table->pairs[i].value));
    for (size_t i = 0; i < table->count && result == 0; i++)
        result |= json_object_set_new(header, table->entries[i].name,
                                      entry_json(&table->entries[i]));
    if (result == 0)
        return header;
    json_decref(header);
    return NULL;
}

/* The header with its length and its padding. */
static int header_bytes(const struct tensor_table *table, uint8_t **out, uint64_t *count,
                        struct failure *failure)
{
    json_t *json = header_json(table);
    size_t length = 0;
    char *text = json ? json_print(json, 0, &length) : NULL;
    size_t padded = align_up(length, 8);
    uint8_t *bytes = text ? malloc(LENGTH_BYTES + padded) : NULL;
    int result = 0;

    if (!bytes) {
        result =
            fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    } else if (padded > FILES_HEADER_BYTES_MAX) {
        result = fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                      "the header would have %zu bytes, at most %d are allowed", padded,
                      FILES_HEADER_BYTES_MAX);
        free(bytes);
    } else {
        for (int i = 0; i < LENGTH_BYTES; i++)
            bytes[i] = (uint8_t)((uint64_t)padded >> (8 * i));
        memcpy(bytes + LENGTH_BYTES, text, length);
        memset(bytes + LENGTH_BYTES + length, ' ', padded - length);
        *out = bytes;
        *count = LENGTH_BYTES + padded;
    }
    free(text);
    json_decref(json);
    return result;
}

static int plan_safetensors(struct tensor_table *table, uint8_t **header, uint64_t *count,
                            struct failure *failure)
{
    if (check_types(table, failure) != 0 || place_tensors(table, failure) != 0 ||
        header_bytes(table, header, count, failure) != 0)
        return -1;
    for (size_t i = 0; i < table->count; i++)
        table->entries[i].offset += *count;
    return 0;
}

const struct writer_ops safetensors_writer = {"safetensors", ".safetensors",
                                              plan_safetensors};
