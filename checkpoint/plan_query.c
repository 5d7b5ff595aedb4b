/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a plan. */
#include "checkpoint/plan.h"

uint64_t plan_item_bytes(const struct plan *plan, const struct plan_item *item,
                         size_t output)
{
    const uint64_t bytes = plan->table.entries[output].bytes;

    return item->parts ? bytes / item->parts : bytes;
}

bool plan_keeps_layout(const struct plan *plan)
{
    return encoding_keeps_layout(plan->terms.encoding) && !plan->architecture;
}

bool plan_item_is_copied(const struct plan *plan, size_t index)
{
    const struct plan_item *item = &plan->items[index];

    return plan->table.entries[item->data].type ==
               plan->contents.table->entries[index].type &&
           !plan->contents.items[index].heads.rows && !item->turned;
}

const char *plan_action_name(enum plan_action action)
{
    switch (action) {
    case PLAN_TERNARIZE:
        return "ternarize";
    case PLAN_PACK:
        return "pack";
    case PLAN_KEEP:
        return "keep";
    case PLAN_REFUSE:
        break;
    }
    return "refuse";
}
