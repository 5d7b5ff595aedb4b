/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/matrix.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/transpose.h"

const char *matrix_name(char name[MATRIX_NAME_BYTES], const char *layer,
                        const struct matrices *matrices, uint64_t number)
{
    if (matrices->count == 1)
        snprintf(name, MATRIX_NAME_BYTES, "%s", layer);
    else
        snprintf(name, MATRIX_NAME_BYTES, "%s[%" PRIu64 "]", layer, number);
    return name;
}

static int no_memory(struct failure *failure, uint64_t bytes)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "out of memory for a matrix of %" PRIu64 " bytes", bytes);
}

int matrix_load(struct reader *reader, const struct tensor_entry *entry,
                const struct matrices *matrices, uint64_t number, void **data,
                uint64_t *bytes, struct failure *failure)
{
    const uint64_t part = entry->bytes / matrices->count;
    void *stored = part < PTRDIFF_MAX ? malloc((size_t)part + 1) : NULL;
    void *turned = NULL;

    if (!stored)
        return no_memory(failure, part);
    if (reader_read(reader, entry, number * part, stored, part, failure) < 0) {
        free(stored);
        return -1;
    }
    if (matrices->transposed) {
        turned = malloc((size_t)part + 1);
        if (turned)
            transpose(turned, stored, matrices->columns, matrices->rows,
                      entry->type->bits / 8);
        free(stored);
        if (!turned)
            return no_memory(failure, part);
    }
    *data = turned ? turned : stored;
    *bytes = part;
    return 0;
}

const void *matrix_stored(const void *data, uint64_t bytes,
                          const struct matrices *matrices, size_t width, void **copy)
{
    *copy = NULL;
    if (!matrices->transposed)
        return data;
    *copy = malloc((size_t)bytes + 1);
    if (*copy)
        transpose(*copy, data, matrices->rows, matrices->columns, width);
    return *copy;
}
