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

/* Encodings that keep the layout of a layer stored [in, out] are transposed back. */
static int put_data(struct writer *writer, const struct plan *plan, size_t layer,
                    const struct encoded *encoded, struct failure *failure)
{
    const struct plan_item *item = &plan->items[layer];
    const struct element_type *type = plan->table.entries[item->data].type;
    struct matrices stored = content_matrices(&plan->contents.items[layer]);
    void *copy;
    const void *data;
    int result;

    stored.transposed &= encoding_keeps_layout(plan->terms.encoding);
    data =
        matrix_stored(encoded->data, encoded->data_bytes, &stored, type->bits / 8, &copy);
    if (!data)
        return no_memory(failure);
    result = writer_put(writer, item->data, data, encoded->data_bytes, failure);
    free(copy);
    return result;
}

/* MLX's biases: the f16 scales with the sign bit flipped. */
static int put_biases(struct writer *writer, size_t index, const struct encoded *encoded,
                      struct failure *failure)
{
    uint16_t piece[512];

    for (uint64_t at = 0; at < encoded->scale_bytes; at += sizeof(piece)) {
        const size_t count = (size_t)u64_min(encoded->scale_bytes - at, sizeof(piece));

        memcpy(piece, (const char *)encoded->scales + at, count);
        for (size_t i = 0; i < count / sizeof(*piece); i++)
            piece[i] ^= 0x8000;
        if (writer_put(writer, index, piece, count, failure) < 0)
            return -1;
    }
    return 0;
}

int put_matrix(struct writer *writer, const struct plan *plan, size_t layer,
               const struct encoded *encoded, struct failure *failure)
{
    const struct tensor_entry *entries = plan->table.entries;
    const struct plan_item *item = &plan->items[layer];
    const uint64_t count = content_matrices(&plan->contents.items[layer]).count;
    const uint64_t data_bytes = entries[item->data].bytes / count;
    const uint64_t scale_bytes =
        item->scales == PLAN_NONE ? 0 : entries[item->scales].bytes / count;

    if (encoded->data_bytes != data_bytes || encoded->scale_bytes != scale_bytes)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "the daemon sent %" PRIu64 " bytes and %" PRIu64
                    " of scales, not %" PRIu64 " and %" PRIu64,
                    encoded->data_bytes, encoded->scale_bytes, data_bytes, scale_bytes);
    if (encoded->data && put_data(writer, plan, layer, encoded, failure) < 0)
        return -1;
    if (item->scales == PLAN_NONE)
        return 0;
    if (writer_put(writer, item->scales, encoded->scales, scale_bytes, failure) < 0)
        return -1;
    return item->biases == PLAN_NONE ? 0
                                     : put_biases(writer, item->biases, encoded, failure);
}
