/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors: any bytes are refused or give a table that adds up. The first
 * byte says which allocation fails, if any, so that those paths run too. */
#include <assert.h>
#include <stdlib.h>

#include <jansson.h>

#include "files/reader.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned allocations_left;

static void *failing_malloc(size_t bytes)
{
    if (allocations_left && --allocations_left == 0)
        return NULL;
    return malloc(bytes);
}

static void check_table(struct reader *reader, uint64_t bytes)
{
    const struct tensor_table *table = reader_table(reader);
    uint64_t covered = 0;
    uint8_t last;

    for (size_t i = 0; i < table->count; i++) {
        const struct tensor_entry *entry = &table->entries[i];
        uint64_t elements;

        assert(utf8_is_name(entry->name));
        assert(shape_elements(entry->rank, entry->shape, &elements));
        assert(elements * entry->type->bits == entry->bytes * 8);
        assert(table_find(table, entry->name) == entry);
        covered += entry->bytes;
        assert(entry->offset + entry->bytes <= bytes);
        if (entry->bytes)
            assert(reader_read(reader, entry, entry->bytes - 1, &last, 1, NULL) == 0);
    }
    assert(covered < bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct failure failure = {.status = TRIT_OK};
    struct source *source;
    struct reader *reader;

    if (size == 0)
        return 0;
    json_set_alloc_funcs(failing_malloc, free);
    allocations_left = data[0];
    if (source_memory(&source, data + 1, size - 1, "input.safetensors", NULL) != 0)
        return 0;
    if (reader_open_source(&reader, source, NULL, &failure) == 0) {
        check_table(reader, size - 1);
        reader_close(reader);
    } else {
        assert(failure.status != TRIT_OK && failure.message[0]);
    }
    return 0;
}
