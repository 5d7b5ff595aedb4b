/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF version 3, written: a header and the tensors' places. The values are those that the
 * table carries from a GGUF file, or general.architecture "trit" and the table's pairs as
 * strings: an archive of tensors, which llama.cpp does not load. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/number.h"
#include "files/formats.h"

enum {
    VERSION = 3,
    QUANTIZATION_VERSION = 2, /* GGML_QNT_VERSION */
    ALIGNMENT = 32,
    NAME_BYTES_MAX = 63,
    AXES_MAX = 4,
    VALUE_U32 = 4,
    VALUE_STRING = 8,
};

struct output {
    uint8_t *bytes;
    size_t count, capacity;
    bool lost; /* memory ran out */
};

static void put(struct output *output, const void *bytes, size_t count)
{
    uint8_t *grown = output->lost ? NULL
                                  : array_grow(output->bytes, &output->capacity,
                                               output->count + count, sizeof(*grown));

    if (!grown) {
        output->lost = true;
        return;
    }
    output->bytes = grown;
    memcpy(grown + output->count, bytes, count);
    output->count += count;
}

static void put_number(struct output *output, uint64_t number, size_t bytes)
{
    uint8_t little[sizeof(number)];

    for (size_t i = 0; i < bytes; i++)
        little[i] = (uint8_t)(number >> 8 * i);
    put(output, little, bytes);
}

static void put_text(struct output *output, const char *text)
{
    put_number(output, strlen(text), sizeof(uint64_t));
    put(output, text, strlen(text));
}

static void put_string(struct output *output, const char *key, const char *value)
{
    put_text(output, key);
    put_number(output, VALUE_STRING, sizeof(uint32_t));
    put_text(output, value);
}

static void put_u32(struct output *output, const char *key, uint32_t value)
{
    put_text(output, key);
    put_number(output, VALUE_U32, sizeof(uint32_t));
    put_number(output, value, sizeof(value));
}

/* ---- values ------------------------------------------------------------------------- */

/* general.file_type of the first type in blocks (llama.cpp's enum llama_ftype, and
 * PrismML's); 0: all F32, 1: mostly F16, 32: mostly BF16. */
static uint32_t file_type(const struct tensor_table *table)
{
    static const struct {
        const char *type;
        uint32_t number;
    } types[] = {{"TQ1_0", 36},   {"TQ2_0", 37}, {"Q2_0", 41}, {"PQ2_0", 128},
                 {"PTQ1_0", 129}, {"F16", 1},    {"BF16", 32}};

    for (size_t kind = 0; kind < sizeof(types) / sizeof(types[0]); kind++)
        for (size_t i = 0; i < table->count; i++)
            if (table->entries[i].rank > 1 &&
                strcmp(table->entries[i].type->name, types[kind].type) == 0)
                return types[kind].number;
    return 0;
}

/* safetensors' "format" tells who wrote a safetensors file. */
static bool is_written(const struct tensor_pair *pair)
{
    return strcmp(pair->key, "format") != 0;
}

static void put_values(struct output *output, const struct tensor_table *table)
{
    const bool archive = table->values_count == 0;
    uint64_t count = table->values_count + (archive ? 3 : 1);

    for (size_t i = 0; i < table->pair_count; i++)
        count += is_written(&table->pairs[i]);
    put_number(output, count, sizeof(count));
    if (archive) {
        put_string(output, "general.architecture", "trit");
        put_u32(output, "general.quantization_version", QUANTIZATION_VERSION);
    } else {
        put(output, table->values, table->values_bytes);
    }
    put_u32(output, "general.file_type", file_type(table));
    for (size_t i = 0; i < table->pair_count; i++)
        if (is_written(&table->pairs[i]))
            put_string(output, table->pairs[i].key, table->pairs[i].value);
}

/* ---- tensors ------------------------------------------------------------------------ */

static int check_entry(const struct tensor_entry *entry, struct failure *failure)
{
    if (strlen(entry->name) > NAME_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "name",
                    "tensor %s: its name has %zu bytes, GGUF allows %d", entry->name,
                    strlen(entry->name), NAME_BYTES_MAX);
    if (entry->rank > AXES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: %" PRIu32 " axes, GGUF allows %d", entry->name,
                    entry->rank, AXES_MAX);
    if (element_type_gguf(entry->type) < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "dtype",
                    "tensor %s: GGUF has no type %s", entry->name, entry->type->name);
    return 0;
}

static void put_entry(struct output *output, const struct tensor_entry *entry)
{
    uint64_t shape[TRIT_RANK_MAX];

    entry_value_shape(entry, shape);
    put_text(output, entry->name);
    put_number(output, entry->rank, sizeof(uint32_t));
    for (uint32_t i = entry->rank; i-- > 0;)
        put_number(output, shape[i], sizeof(uint64_t));
    put_number(output, (uint64_t)element_type_gguf(entry->type), sizeof(uint32_t));
    put_number(output, entry->offset, sizeof(uint64_t));
}

/* Offsets count from the begin of the data. */
static int place(struct tensor_table *table, uint64_t *end, struct failure *failure)
{
    *end = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct tensor_entry *entry = &table->entries[i];

        if (check_entry(entry, failure) < 0)
            return -1;
        if (entry->bytes > (uint64_t)INT64_MAX - *end)
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "the tensors are too large for one file");
        entry->offset = *end;
        *end = align_up(*end + entry->bytes, ALIGNMENT);
    }
    return 0;
}

static int plan_gguf(struct tensor_table *table, uint8_t **header, uint64_t *count,
                     struct failure *failure)
{
    static const uint8_t zeros[ALIGNMENT];
    struct output output = {.bytes = NULL};
    uint64_t end;

    if (place(table, &end, failure) < 0)
        return -1;
    put(&output, "GGUF", 4);
    put_number(&output, VERSION, sizeof(uint32_t));
    put_number(&output, table->count, sizeof(uint64_t));
    put_values(&output, table);
    for (size_t i = 0; i < table->count; i++)
        put_entry(&output, &table->entries[i]);
    put(&output, zeros, align_up(output.count, ALIGNMENT) - output.count);
    if (output.lost) {
        free(output.bytes);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    }
    for (size_t i = 0; i < table->count; i++)
        table->entries[i].offset += output.count;
    table->file_bytes = output.count + end;
    *header = output.bytes;
    *count = output.count;
    return 0;
}

const struct writer_ops gguf_writer = {"gguf", ".gguf", plan_gguf};
