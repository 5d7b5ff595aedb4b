/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/plan_cursor.h"

#include <inttypes.h>

static bool is_layer(const struct plan_item *item)
{
    return item->action == PLAN_TERNARIZE || item->action == PLAN_PACK;
}

bool plan_cursor_next(const struct plan *plan, struct plan_cursor *cursor,
                      struct plan_piece *piece)
{
    const struct tensor_table *table = plan->contents.table;

    /* Scales of a packed layer are written with it. */
    while (cursor->index < table->count && plan->items[cursor->index].data == PLAN_NONE)
        cursor->index++;
    if (cursor->index == table->count)
        return false;
    piece->index = cursor->index;
    piece->number = cursor->number;
    piece->is_layer = is_layer(&plan->items[cursor->index]);
    if (piece->is_layer)
        piece->matrices = content_matrices(&plan->contents.items[cursor->index]);
    piece->is_layer &= piece->matrices.count > 0;
    if (!piece->is_layer)
        piece->matrices = (struct matrices){.count = 1};
    matrix_name(piece->name, table->entries[cursor->index].name, &piece->matrices,
                cursor->number);
    if (++cursor->number >= piece->matrices.count)
        *cursor = (struct plan_cursor){.index = cursor->index + 1};
    return true;
}

uint64_t plan_piece_count(const struct plan *plan)
{
    struct plan_cursor cursor = {.index = 0};
    struct plan_piece piece;
    uint64_t count = 0;

    while (plan_cursor_next(plan, &cursor, &piece))
        count++;
    return count;
}

int plan_piece_failed(const struct plan *plan, const struct plan_piece *piece,
                      struct failure *failure)
{
    if (piece->matrices.count > 1)
        fail_context(failure, "expert %" PRIu64, piece->number);
    return fail_context(failure, "%s", plan->contents.table->entries[piece->index].name);
}
