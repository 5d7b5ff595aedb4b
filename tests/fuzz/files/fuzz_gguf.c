/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF: any bytes are refused or give a table whose tensors lie in the file. */
#include <assert.h>
#include <stdlib.h>

#include "files/reader.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(struct reader *reader, const struct tensor_entry *entry,
                        uint64_t bytes)
{
    uint64_t shape[TRIT_RANK_MAX], elements;
    uint8_t last;

    assert(utf8_is_name(entry->name));
    assert(shape_elements(entry->rank, entry->shape, &elements));
    assert(elements * entry->type->bits == entry->bytes * 8);
    entry_value_shape(entry, shape);
    assert(shape_elements(entry->rank, shape, &elements));
    assert(table_find(reader_table(reader), entry->name) == entry);
    assert(entry->bytes == 0 || entry->offset + entry->bytes <= bytes);
    if (entry->bytes)
        assert(reader_read(reader, entry, entry->bytes - 1, &last, 1, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct failure failure = {.status = TRIT_OK};
    struct source *source;
    struct reader *reader;

    if (size == 0)
        return 0;
    const struct read_options options = {.may_be_cut = data[0] & 1};
    if (source_memory(&source, data + 1, size - 1, "input.gguf", NULL) != 0)
        return 0;
    if (reader_open_source(&reader, source, &options, &failure) == 0) {
        const struct tensor_table *table = reader_table(reader);

        for (size_t i = 0; i < table->count; i++)
            check_entry(reader, &table->entries[i], size - 1);
        reader_close(reader);
    } else {
        assert(failure.status != TRIT_OK && failure.message[0]);
    }
    return 0;
}
