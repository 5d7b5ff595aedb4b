/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/parts.h"

#include <inttypes.h>

#include "client/lib/sized.h"

int part_check(const struct matrix_part *part, uint64_t matrices, struct failure *failure)
{
    const uint64_t wanted = part->tensor_bytes / matrices;

    if (!part->bytes && !part->required)
        return 0;
    if (!part->bytes)
        return fail_null(failure, part->field);
    if (part->given != wanted)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, part->field,
                          "has %" PRIu64 " bytes, not %" PRIu64, part->given, wanted);
    return 0;
}

uint64_t tensor_bytes(const struct tensor_table *table, size_t index)
{
    return index == CONTENT_NONE ? 0 : table->entries[index].bytes;
}

int parts_decode(const struct contents *contents, size_t index,
                 const struct trit_examined *packed, void *values, uint64_t bytes,
                 struct failure *failure)
{
    const struct content *item = &contents->items[index];

    if (item->kind != CONTENT_LAYER || !content_is_foreign(item))
        return fail_field(failure, TRIT_NOT_FOUND, "tensor",
                          "\"%s\" is not to be decoded",
                          contents->table->entries[index].name);
    const struct matrices matrices = content_matrices(item);
    const struct matrix_part parts[] = {
        {"data", tensor_bytes(contents->table, index), packed->data, packed->data_bytes,
         true},
        {"scales", tensor_bytes(contents->table, item->scales), packed->scales,
         packed->scale_bytes, true},
        {"biases", tensor_bytes(contents->table, item->biases), packed->biases,
         packed->bias_bytes, item->biases != CONTENT_NONE},
        {"values", item->dense.bytes, values, bytes, true},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (part_check(&parts[i], matrices.count, failure) < 0)
            return -1;
    foreign_decode(&item->foreign, matrices.columns, 0, matrices.rows, packed->data,
                   packed->scales, packed->biases, values);
    return 0;
}

struct scale_faults parts_faults(const struct contents *contents, size_t index,
                                 const struct trit_examined *packed)
{
    const struct content *item = &contents->items[index];
    const struct matrices matrices = content_matrices(item);
    struct scale_faults faults = {.lost = {.count = 0}};

    foreign_find_faults(&item->foreign, matrices.columns, 0, matrices.rows, packed->data,
                        packed->scales, packed->biases, &faults);
    return faults;
}
