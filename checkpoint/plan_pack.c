/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/plan_pack.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/lost_weight.h"
#include "proto/utf8.h"

/* The longest list of names that a message has room for, beside the rest of it. */
enum { NAMES_BYTES = TRIT_MESSAGE_BYTES_MAX - 256 };

struct looking {
    const struct tensor_table *table;
    const struct checkpoint_options *options;
    size_t lost, named;
    size_t length;
    char names[NAMES_BYTES + 1];
};

static int look_for(void *arg, const char *name)
{
    struct looking *looking = arg;
    const size_t room = sizeof(looking->names) - looking->length;

    if (table_find(looking->table, name) ||
        selection_of(looking->options, name) == SELECTION_EXCLUDED)
        return 0;
    if (looking->lost++ > looking->named || (looking->named && strlen(name) + 2 >= room))
        return 0; /* there is no room for it, or there was none for an earlier one */
    const int added = snprintf(looking->names + looking->length, room, "%s%s",
                               looking->named ? ", " : "", name);
    looking->length += added < 0 ? 0 : (size_t)added < room ? (size_t)added : room - 1;
    looking->length = utf8_cut(looking->names, looking->length);
    looking->names[looking->length] = '\0';
    looking->named++;
    return 0;
}

/* Refuses a file that lacks layers of its record, and names them. */
static int refuse_unwritten(const struct looking *looking, struct failure *failure)
{
    const size_t more = looking->lost - looking->named;
    const bool one = looking->lost == 1;
    char rest[48] = "";

    if (looking->lost == 0)
        return 0;
    if (more)
        snprintf(rest, sizeof(rest), " and %zu more", more);
    return fail(failure, TRIT_INVALID_ARGUMENT, "layers",
                "%s%s: the file's record names %s, but the file lacks %s; the output "
                "would not show that %s missing",
                looking->names, rest, one ? "it" : "them", one ? "it" : "them",
                one ? "it is" : "they are");
}

static int refuse_lost(struct plan *plan, const struct checkpoint_options *options,
                       const struct record *record, struct failure *failure)
{
    const struct tensor_table *table = plan->contents.table;
    struct looking looking = {.table = table, .options = options};
    char weight[NAME_BESIDE_BYTES], reason[NAME_BESIDE_BYTES + 128];

    for (size_t i = 0; i < table->count; i++) {
        if (!lost_weight_of(&plan->contents, options->config, i, weight) ||
            selection_of(options, weight) == SELECTION_EXCLUDED ||
            selection_of(options, table->entries[i].name) == SELECTION_EXCLUDED)
            continue;
        snprintf(reason, sizeof(reason), "it belongs to %s, which the input lacks",
                 weight);
        plan_refuse(plan, i, reason);
    }
    if (record && record->layers)
        record_visit(record, look_for, &looking);
    return refuse_unwritten(&looking, failure);
}

int plan_create_pack(struct plan *plan, const struct checkpoint_options *options,
                     const struct pack_target *target, const struct tensor_table *input,
                     const struct record *record, struct failure *failure)
{
    return plan_begin_pack(plan, options, target, input, record, failure) < 0
               ? -1
               : refuse_lost(plan, options, record, failure);
}
