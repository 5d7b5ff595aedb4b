/* SPDX-License-Identifier: Apache-2.0 */
/* Writes .npy as numpy.save does: version 1.0, data aligned to 64 bytes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "files/formats.h"

enum {
    PREFIX_BYTES = 10,
    ALIGNMENT = 64,
    /* Eight axes of twenty digits, and the fixed text. */
    TEXT_BYTES_MAX = 64 + TRIT_RANK_MAX * 22,
    HEADER_BYTES_MAX_NPY =
        (PREFIX_BYTES + TEXT_BYTES_MAX + ALIGNMENT) / ALIGNMENT * ALIGNMENT,
};

/* NULL: NumPy has no such type. bf16 is written as ml_dtypes writes it. */
static const char *descr_of(const struct element_type *type)
{
    switch (type->dtype) {
    case TRIT_F32:
        return "<f4";
    case TRIT_F16:
        return "<f2";
    case TRIT_BF16:
        return "|V2";
    case TRIT_I8:
        return "|i1";
    case TRIT_U8:
        return "|u1";
    case TRIT_DTYPE_UNSPECIFIED:
        return NULL;
    }
    return NULL;
}

static size_t print_dict(char text[TEXT_BYTES_MAX], const struct tensor_entry *entry,
                         const char *descr)
{
    int length = snprintf(text, TEXT_BYTES_MAX,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);

    for (uint32_t i = 0; i < entry->rank; i++)
        length +=
            snprintf(text + length, TEXT_BYTES_MAX - (size_t)length, "%s%" PRIu64 "%s",
                     i ? ", " : "", entry->shape[i], entry->rank == 1 ? "," : "");
    length += snprintf(text + length, TEXT_BYTES_MAX - (size_t)length, "), }");
    return (size_t)length;
}

static int plan_npy(struct tensor_table *table, uint8_t **header, uint64_t *count,
                    struct failure *failure)
{
    const char *descr = table->count == 1 ? descr_of(table->entries[0].type) : NULL;
    char text[TEXT_BYTES_MAX];
    size_t length, total;
    uint8_t *bytes;

    if (table->count != 1)
        return fail(failure, TRIT_INVALID_ARGUMENT, "output",
                    "a .npy file holds one tensor, not %zu; name it .safetensors",
                    table->count);
    if (!descr)
        return fail(failure, TRIT_INVALID_ARGUMENT, "dtype", "a .npy file cannot hold %s",
                    table->entries[0].type->name);
    length = print_dict(text, &table->entries[0], descr);
    total = align_up(PREFIX_BYTES + length + 1, ALIGNMENT);
    bytes = malloc(HEADER_BYTES_MAX_NPY);
    if (!bytes)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (uint8_t)((total - PREFIX_BYTES) & 0xff);
    bytes[9] = (uint8_t)((total - PREFIX_BYTES) >> 8);
    memcpy(bytes + PREFIX_BYTES, text, length);
    memset(bytes + PREFIX_BYTES + length, ' ', total - PREFIX_BYTES - length);
    bytes[total - 1] = '\n';
    table->entries[0].offset = total;
    *header = bytes;
    *count = total;
    return 0;
}

const struct writer_ops npy_writer = {"npy", ".npy", plan_npy};
