/* SPDX-License-Identifier: Apache-2.0 */
/* Compares tensors that are not layers with those of the latents. */
#include "checkpoint/compare.h"
#include "client/cli/both.h"
#include "client/cli/verify.h"

int verify_other_run(struct verifying *v, struct verify_piece *piece,
                     struct failure *failure)
{
    const struct tensor_entry *entry = &v->claim.table->entries[piece->pair.claim];
    const struct tensor_entry *wanted = &v->latents.table->entries[piece->pair.latents];
    struct progress_piece progress;
    int result = 0;

    progress_piece_begin(&progress, &v->progress, piece->name, NULL);
    difference_init(&piece->difference, entry->type);
    if (entries_have_same_form(entry, wanted))
        result = both_compare(v->against.reader, wanted, v->file.reader, entry,
                              &piece->difference, failure);
    progress_piece_end(&progress, entry->bytes);
    return result;
}

void verify_other_take(struct verifying *v, const struct verify_piece *piece)
{
    const struct tensor_entry *wanted = &v->latents.table->entries[piece->pair.latents];

    v->compared++;
    if (!findings_add_form(&v->findings, &v->claim, piece->pair.claim, wanted))
        findings_add_difference(&v->findings, &v->claim, piece->pair.claim,
                                &piece->difference);
}
