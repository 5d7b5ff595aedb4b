/* SPDX-License-Identifier: Apache-2.0 */
/* .npy: any bytes are refused or give one tensor whose bytes are all there. */
#include <assert.h>

#include "files/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct read_options options = {.void2_is_bf16 = size % 2 == 0};
    struct failure failure = {.status = TRIT_OK};
    struct source *source;
    struct reader *reader;

    if (source_memory(&source, data, size, "input.npy", NULL) != 0)
        return 0;
    if (reader_open_source(&reader, source, &options, &failure) == 0) {
        const struct tensor_table *table = reader_table(reader);

        for (size_t i = 0; i < table->count; i++)
            assert(table->entries[i].offset + table->entries[i].bytes <= size);
        reader_close(reader);
    } else {
        assert(failure.status != TRIT_OK && failure.message[0]);
    }
    return 0;
}
