/* SPDX-License-Identifier: Apache-2.0 */
/* Compares tensors that are not layers with those of the latents. */
#include "checkpoint/compare.h"
#include "drive/both.h"
#include "drive/verify_impl.h"
#include "drive/verify_rotated.h"

int verify_other_run(struct verifying *v, struct verify_piece *piece,
                     const atomic_bool *stopped, struct failure *failure)
{
    const struct tensor_entry *entry = &v->claim.table->entries[piece->pair.claim];
    const struct tensor_entry *wanted = &v->latents.table->entries[piece->pair.latents];
    const bool comparable = entries_comparable(v->claim.table, piece->pair.claim,
                                               v->latents.table, piece->pair.latents);
    struct progress_piece progress;
    int result;

    progress_piece_begin(&progress, v->progress, piece->name, stopped);
    result = progress_check(v->progress, failure);
    difference_init(&piece->difference, wanted->type, entry->type);
    if (result == 0 && comparable)
        result = both_compare(v->against.reader, wanted, &piece->pair.heads,
                              v->file.reader, entry, &piece->difference, failure);
    progress_piece_end(&progress, entry->bytes);
    return result;
}

void verify_other_take(struct verifying *v, const struct verify_piece *piece)
{
    const size_t first = v->findings.count;
    struct rotated_basis basis;

    v->compared++;
    if (!findings_add_form(&v->findings, &v->claim, piece->pair.claim, v->latents.table,
                           piece->pair.latents))
        findings_add_difference(&v->findings, &v->claim, piece->pair.claim,
                                &piece->difference);
    /* Tensors that are not layers are not rotated: one in another basis is not judged. */
    if (verify_rotation_of(v, &piece->pair, 0, &basis) != ROTATION_NONE)
        findings_judge_unknown(&v->findings, first, v->rotation.why);
}
