/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint in memory: the text of its header, then its data. */
#ifndef TESTS_DRIVE_MEMORY_READER_H
#define TESTS_DRIVE_MEMORY_READER_H

#include <stdlib.h>
#include <string.h>

#include "files/reader.h"
#include "tests/lib/check.h"

struct memory_file {
    char *bytes;
    size_t count;
};

static inline struct memory_file memory_file(const char *header, const void *data,
                                             size_t count)
{
    const uint64_t length = strlen(header);
    struct memory_file file = {.count = 8 + (size_t)length + count};

    file.bytes = malloc(file.count);
    CHECK(file.bytes);
    memcpy(file.bytes, &length, 8);
    memcpy(file.bytes + 8, header, (size_t)length);
    memcpy(file.bytes + 8 + length, data, count);
    return file;
}

/* NULL: *failure. */
static inline struct reader *memory_reader(const struct memory_file *file,
                                           struct failure *failure)
{
    struct source *source = NULL;
    struct reader *reader = NULL;

    if (source_memory(&source, file->bytes, file->count, "a", failure) < 0 ||
        reader_open_source(&reader, source, NULL, failure) < 0)
        return NULL;
    return reader;
}

#endif
