/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan_lost.h"

#include <stdio.h>

#include "checkpoint/lost_weight.h"

struct looking {
    const struct tensor_table *table;
    const struct checkpoint_options *options;
    struct failure *failure;
};

static int look_for(void *arg, const char *name)
{
    const struct looking *looking = arg;

    if (table_find(looking->table, name) ||
        selection_of(looking->options, name) == SELECTION_EXCLUDED)
        return 0;
    return fail(looking->failure, TRIT_INVALID_ARGUMENT, "layers",
                "%s: the file's record names it, but the file lacks it, and the output "
                "would lack it without a trace",
                name);
}

int plan_refuse_lost(struct plan *plan, const struct checkpoint_options *options,
                     const struct record *record, struct failure *failure)
{
    const struct tensor_table *table = plan->contents.table;
    struct looking looking = {table, options, failure};
    char weight[SCALES_NAME_BYTES], reason[SCALES_NAME_BYTES + 128];

    for (size_t i = 0; i < table->count; i++) {
        if (!lost_weight_of(&plan->contents, options->config, i, weight) ||
            selection_of(options, weight) == SELECTION_EXCLUDED ||
            selection_of(options, table->entries[i].name) == SELECTION_EXCLUDED)
            continue;
        snprintf(reason, sizeof(reason), "it belongs to %s, which the input lacks",
                 weight);
        plan_refuse(plan, i, reason);
    }
    return record && record->layers ? record_visit(record, look_for, &looking) : 0;
}
