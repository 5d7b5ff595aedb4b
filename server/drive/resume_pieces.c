/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/resume_pieces.h"

#include <stdlib.h>

size_t resume_number(const struct resume *resume, const struct plan_piece *piece)
{
    return resume->first_piece[piece->index] + (size_t)piece->number;
}

size_t resume_tensors(const struct resume *resume, const struct plan_piece *piece,
                      size_t tensors[PIECE_TENSORS_MAX])
{
    const struct plan_item *item = &resume->plan->items[piece->index];
    const size_t all[PIECE_TENSORS_MAX] = {item->data, item->scales, item->biases};
    size_t count = 0;

    for (size_t i = 0; i < (piece->is_layer ? PIECE_TENSORS_MAX : 1); i++)
        if (all[i] != PLAN_NONE)
            tensors[count++] = all[i];
    return count;
}

int resume_number_pieces(struct resume *resume, struct failure *failure)
{
    const struct plan *plan = resume->plan;
    struct plan_cursor cursor = {.index = 0};
    struct plan_piece piece;
    size_t tensors[PIECE_TENSORS_MAX];

    resume->first_piece = calloc(plan->contents.table->count + 1, sizeof(size_t));
    resume->tensors = calloc(plan->table.count + 1, sizeof(*resume->tensors));
    if (!resume->first_piece || !resume->tensors)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (; plan_cursor_next(plan, &cursor, &piece); resume->pieces++) {
        if (piece.number == 0)
            resume->first_piece[piece.index] = resume->pieces;
        for (size_t i = resume_tensors(resume, &piece, tensors); i-- > 0;)
            resume->tensors[tensors[i]].pieces_left++;
    }
    resume->report_at = calloc(resume->pieces + 1, sizeof(uint64_t));
    return resume->report_at
               ? 0
               : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}
