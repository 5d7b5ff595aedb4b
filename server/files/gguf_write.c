/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF version 3, written: a header and the tensors' places. The values are those that the
 * table carries, from a GGUF file or for llama.cpp, or general.architecture "trit"; and the
 * table's pairs as strings. With "trit" it is an archive of tensors, which llama.cpp does
 * not load. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "files/formats.h"
#include "files/gguf_keys.h"

enum {
    VERSION = 3,
    QUANTIZATION_VERSION = 2, /* GGML_QNT_VERSION */
    ALIGNMENT = 32,
    NAME_BYTES_MAX = 63,
    AXES_MAX = 4,
};

/* ---- values ------------------------------------------------------------------------- */

/* general.file_type of the first type in blocks (llama.cpp's enum llama_ftype, and
 * PrismML's and BitNet's); 0: all F32, 1: mostly F16, 32: mostly BF16. */
static uint32_t file_type(const struct tensor_table *table)
{
    static const struct {
        const char *type;
        uint32_t number;
    } types[] = {{"TQ1_0", 36},  {"TQ2_0", 37},   {"I2_S", 40}, {"Q2_0", 41},
                 {"PQ2_0", 128}, {"PTQ1_0", 129}, {"F16", 1},   {"BF16", 32}};

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

static void put_values(struct gguf_keys *header, const struct tensor_table *table)
{
    const bool archive = table->values_count == 0;
    uint64_t count = table->values_count + (archive ? 3 : 1);

    for (size_t i = 0; i < table->pair_count; i++)
        count += is_written(&table->pairs[i]);
    gguf_put_number(header, count, sizeof(count));
    if (archive) {
        gguf_keys_string(header, "general.architecture", "trit");
        gguf_keys_u32(header, "general.quantization_version", QUANTIZATION_VERSION);
    } else {
        gguf_put(header, table->values, table->values_bytes);
    }
    gguf_keys_u32(header, "general.file_type", file_type(table));
    for (size_t i = 0; i < table->pair_count; i++)
        if (is_written(&table->pairs[i]))
            gguf_keys_string(header, table->pairs[i].key, table->pairs[i].value);
}

/* ---- tensors ------------------------------------------------------------------------ */

int gguf_check_entry(const struct tensor_entry *entry, struct failure *failure)
{
    if (strlen(entry->name) > NAME_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "name",
                    "its name has %zu bytes, GGUF allows %d", strlen(entry->name),
                    NAME_BYTES_MAX);
    if (entry->rank > AXES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "it has %" PRIu32 " axes, GGUF allows %d", entry->rank, AXES_MAX);
    if (element_type_gguf(entry->type) < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "dtype",
                    "GGUF has no type %s; a safetensors file keeps it",
                    entry->type->name);
    return 0;
}

static void put_entry(struct gguf_keys *header, const struct tensor_entry *entry)
{
    uint64_t shape[TRIT_RANK_MAX];

    entry_value_shape(entry, shape);
    gguf_keys_text(header, entry->name, strlen(entry->name));
    gguf_put_number(header, entry->rank, sizeof(uint32_t));
    for (uint32_t i = entry->rank; i-- > 0;)
        gguf_put_number(header, shape[i], sizeof(uint64_t));
    gguf_put_number(header, (uint64_t)element_type_gguf(entry->type), sizeof(uint32_t));
    gguf_put_number(header, entry->offset, sizeof(uint64_t));
}

/* Offsets count from the start of the data. */
static int place(struct tensor_table *table, uint64_t *end, struct failure *failure)
{
    *end = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct tensor_entry *entry = &table->entries[i];

        if (gguf_check_entry(entry, failure) < 0)
            return fail_context(failure, "tensor %s", entry->name);
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
    struct gguf_keys made = {.bytes = NULL};
    uint64_t end;

    if (place(table, &end, failure) < 0)
        return -1;
    gguf_put(&made, "GGUF", 4);
    gguf_put_number(&made, VERSION, sizeof(uint32_t));
    gguf_put_number(&made, table->count, sizeof(uint64_t));
    put_values(&made, table);
    for (size_t i = 0; i < table->count; i++)
        put_entry(&made, &table->entries[i]);
    gguf_put(&made, zeros, align_up(made.size, ALIGNMENT) - made.size);
    if (made.lost) {
        gguf_keys_fini(&made);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    }
    for (size_t i = 0; i < table->count; i++)
        table->entries[i].offset += made.size;
    table->file_bytes = made.size + end;
    *header = made.bytes;
    *count = made.size;
    return 0;
}

const struct writer_ops gguf_writer = {"gguf", ".gguf", plan_gguf};
