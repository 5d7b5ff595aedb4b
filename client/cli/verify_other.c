/* SPDX-License-Identifier: Apache-2.0 */
/* Compares tensors that are not layers with those of the latents. */
#include <stdlib.h>

#include "base/number.h"
#include "checkpoint/compare.h"
#include "client/cli/verify.h"

enum { COMPARE_BYTES = 1 << 20 };

static int read_both(struct verifying *v, const struct tensor_entry *wanted,
                     const struct tensor_entry *entry, struct difference *difference)
{
    uint8_t *left = malloc(2 * (size_t)COMPARE_BYTES);
    int result =
        left ? 0 : fail(&v->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");

    for (uint64_t at = 0; result == 0 && at < entry->bytes; at += COMPARE_BYTES) {
        uint64_t rest = entry->bytes - at;
        uint64_t piece = u64_min(rest, COMPARE_BYTES);

        result = reader_read(v->against.reader, wanted, at, left, piece, &v->failure);
        if (result == 0)
            result = reader_read(v->file.reader, entry, at, left + COMPARE_BYTES, piece,
                                 &v->failure);
        if (result == 0)
            difference_feed(difference, left, left + COMPARE_BYTES, piece);
    }
    free(left);
    return result;
}

int verify_other(struct verifying *v, const struct match_pair *pair)
{
    const struct tensor_entry *entry = &v->claim.table->entries[pair->claim];
    const struct tensor_entry *wanted = &v->latents.table->entries[pair->latents];
    struct difference difference;

    v->compared++;
    progress_piece_done(&v->progress, entry->bytes);
    if (findings_add_form(&v->findings, &v->claim, pair->claim, wanted))
        return 0;
    difference_init(&difference, entry->type);
    if (read_both(v, wanted, entry, &difference) != 0)
        return -1;
    findings_add_difference(&v->findings, &v->claim, pair->claim, &difference);
    return 0;
}
