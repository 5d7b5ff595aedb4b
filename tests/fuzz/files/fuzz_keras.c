/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Keras, HDF5 and zip archives: any bytes are refused or give a table whose tensors
 * lie in the file. */
#include <assert.h>
#include <stdlib.h>

#include "files/reader.h"
#include "proto/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(struct reader *reader, const struct tensor_entry *entry,
                        uint64_t bytes)
{
    uint64_t elements;
    uint8_t last;

    assert(utf8_is_name(entry->name));
    assert(shape_elements(entry->rank, entry->shape, &elements));
    assert(elements * entry->type->bits == entry->bytes * 8);
    assert(entry->bytes == 0 || entry->offset + entry->bytes <= bytes);
    assert(entry->unpacked == 0 || (entry->unpacked + 4) / 5 == entry->shape[0]);
    if (entry->bytes)
        assert(reader_read(reader, entry, entry->bytes - 1, &last, 1, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Less metadata than by default, so that groups in circles end soon. */
    const struct read_options options = {.header_bytes_max = 1 << 20};
    struct failure failure = {.status = TRIT_OK};
    struct source *source;
    struct reader *reader;

    if (source_memory(&source, data, size, "input.keras", NULL) != 0)
        return 0;
    if (reader_open_source(&reader, source, &options, &failure) == 0) {
        const struct tensor_table *table = reader_table(reader);

        for (size_t i = 0; i < table->count; i++)
            check_entry(reader, &table->entries[i], size);
        reader_close(reader);
    } else {
        assert(failure.status != TRIT_OK && failure.message[0]);
    }
    return 0;
}
