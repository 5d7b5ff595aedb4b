/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/put.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "client/cli/interrupt.h"
#include "client/cli/matrix.h"

enum { COPY_BYTES = 1 << 20 };

static int no_memory(struct failure *failure)
{
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

int put_copy(struct writer *writer, size_t index, struct reader *reader,
             const struct tensor_entry *entry, struct failure *failure)
{
    uint8_t *buffer = malloc(COPY_BYTES);
    int result = buffer ? 0 : no_memory(failure);

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COPY_BYTES) {
        const uint64_t piece = u64_min(entry->bytes - at, COPY_BYTES);

        result = interrupt_check(failure);
        if (result == 0)
            result = reader_read(reader, entry, at, buffer, piece, failure);
        if (result == 0)
            result = writer_put(writer, index, buffer, piece, failure);
    }
    free(buffer);
    return result;
}

/* The bytes of one matrix in tensor `index` of the output. */
static uint64_t part_bytes(const struct plan *plan, const struct plan_piece *piece,
                           size_t index)
{
    return plan->table.entries[index].bytes / piece->matrices.count;
}

/* Puts bytes of a matrix, from byte `offset` of its part of tensor `index`. */
static int put_part(struct writer *writer, const struct plan *plan,
                    const struct plan_piece *piece, size_t index, uint64_t offset,
                    const void *data, uint64_t bytes, struct failure *failure)
{
    return writer_put_at(writer, index,
                         piece->number * part_bytes(plan, piece, index) + offset, data,
                         bytes, failure);
}

int put_data(struct writer *writer, const struct plan *plan,
             const struct plan_piece *piece, uint64_t offset, const void *data,
             uint64_t bytes, struct failure *failure)
{
    return put_part(writer, plan, piece, plan->items[piece->index].data, offset, data,
                    bytes, failure);
}

/* Encodings that keep the layout of a layer stored [in, out] are transposed back. */
static int put_whole(struct writer *writer, const struct plan *plan,
                     const struct plan_piece *piece, const struct encoded *encoded,
                     struct failure *failure)
{
    const struct plan_item *item = &plan->items[piece->index];
    const struct element_type *type = plan->table.entries[item->data].type;
    struct matrices stored = piece->matrices;
    void *copy;
    const void *data;
    int result;

    stored.transposed &= encoding_keeps_layout(plan->terms.encoding);
    data =
        matrix_stored(encoded->data, encoded->data_bytes, &stored, type->bits / 8, &copy);
    if (!data)
        return no_memory(failure);
    result = put_data(writer, plan, piece, 0, data, encoded->data_bytes, failure);
    free(copy);
    return result;
}

/* MLX's biases: the f16 scales with the sign bit flipped. */
static int put_biases(struct writer *writer, const struct plan *plan,
                      const struct plan_piece *piece, const struct encoded *encoded,
                      struct failure *failure)
{
    uint16_t part[512];

    for (uint64_t at = 0; at < encoded->scale_bytes; at += sizeof(part)) {
        const size_t count = (size_t)u64_min(encoded->scale_bytes - at, sizeof(part));

        memcpy(part, (const char *)encoded->scales + at, count);
        for (size_t i = 0; i < count / sizeof(*part); i++)
            part[i] ^= 0x8000;
        if (put_part(writer, plan, piece, plan->items[piece->index].biases, at, part,
                     count, failure) < 0)
            return -1;
    }
    return 0;
}

int put_matrix(struct writer *writer, const struct plan *plan,
               const struct plan_piece *piece, const struct encoded *encoded,
               struct failure *failure)
{
    const struct plan_item *item = &plan->items[piece->index];
    const uint64_t data_bytes = part_bytes(plan, piece, item->data);
    const uint64_t scale_bytes =
        item->scales == PLAN_NONE ? 0 : part_bytes(plan, piece, item->scales);

    if (encoded->data_bytes != data_bytes || encoded->scale_bytes != scale_bytes)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the daemon sent %" PRIu64 " bytes and %" PRIu64
                    " of scales, not %" PRIu64 " and %" PRIu64,
                    encoded->data_bytes, encoded->scale_bytes, data_bytes, scale_bytes);
    if (encoded->data && put_whole(writer, plan, piece, encoded, failure) < 0)
        return -1;
    if (item->scales == PLAN_NONE)
        return 0;
    if (put_part(writer, plan, piece, item->scales, 0, encoded->scales, scale_bytes,
                 failure) < 0)
        return -1;
    return item->biases == PLAN_NONE ? 0
                                     : put_biases(writer, plan, piece, encoded, failure);
}
