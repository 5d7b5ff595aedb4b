/* SPDX-License-Identifier: Apache-2.0 */
/* Compares tensors that are not layers with those of the latents. */
#include "checkpoint/compare.h"
#include "client/cli/both.h"
#include "client/cli/verify.h"

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
    if (both_compare(v->against.reader, wanted, v->file.reader, entry, &difference,
                     &v->failure) != 0)
        return -1;
    findings_add_difference(&v->findings, &v->claim, pair->claim, &difference);
    return 0;
}
