/* SPDX-License-Identifier: Apache-2.0 */
#include "store/chore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/erase.h"
#include "store/mending.h"
#include "store/scan.h"
#include "store/waiting.h"
#include "store/walk.h"
#include "store/writer.h"

/* Finds a run that a change may have. */
static int need_run(struct db *db, const char *name, struct run_row *run,
                    struct failure *failure)
{
    int found = find_run(db, name, run, failure);

    if (found == 1 && !(run->state & RUN_FORMING))
        return 0;
    return found < 0 ? -1 : fail(failure, TRIT_NOT_FOUND, "run", "no run \"%s\"", name);
}

/* ---- rewind ---------------------------------------------------------------- */

static int rewind_run(struct writer *writer, struct chore *chore, struct failure *failure)
{
    const struct store_change *change = chore->change;
    struct run_row run;

    if (need_run(&writer->db, change->run, &run, failure) ||
        run_add_attempt(&writer->db, &run, (int64_t)change->step, ATTEMPT_BY_REWIND,
                        failure) ||
        run_row_put(&writer->db, &run, failure) ||
        waiting_drop_older(&writer->db, run.run, run.attempts, failure))
        return -1;
    chore->attempt = run.attempts;
    return 0;
}

/* ---- delete ---------------------------------------------------------------- */

/* What a deletion is about. */
struct range {
    const char *run, *layer; /* layer "": all */
    int64_t from, to;
};

static bool has_layer(const struct range *range, const struct layer_key *key)
{
    return strcmp(key->run, range->run) == 0 &&
           (!range->layer[0] || strcmp(key->layer, range->layer) == 0);
}

static bool has_all_steps(const struct range *range)
{
    return range->from <= 0 && range->to == INT64_MAX;
}

/* The same where a row of the table of layers is damaged and cannot be made again. The row
 * goes with all of its reports, but not with some. */
static int pass_damaged(struct db *db, const struct range *range, struct chore *chore,
                        struct layer_row *layer, struct failure *failure)
{
    struct layer_key key;

    for (;;) {
        if (scan_layer_key(db, &chore->at, &key, failure))
            return -1;
        if (!has_layer(range, &key))
            return 0;
        if (scan_layer(db, &key, layer, failure))
            return -1;
        if (layer_key_compare(&layer->key, &key) == 0)
            return 1;
        if (!has_all_steps(range))
            return fail(
                failure, TRIT_DATA_LOSS, NULL,
                "the row of layer \"%s\", run \"%s\", is damaged; delete the layer "
                "as a whole, without a range of steps",
                key.layer, key.run);
        if (erase_layer_row(db, &key, failure))
            return -1;
    }
}

/* Finds the next layer of the range at or after chore->at. 1: found. 0: no more. */
static int next_layer(struct db *db, const struct range *range, struct chore *chore,
                      struct layer_row *layer, struct failure *failure)
{
    int found = find_layer(db, &chore->at, layer, failure);

    if (found >= 0)
        return has_layer(range, &layer->key);
    if (!damage_is_of_rows(db, failure) || layers_mend_near(db, &chore->at, failure) < 0)
        return -1;
    if (find_layer(db, &chore->at, layer, failure) >= 0)
        return has_layer(range, &layer->key);
    return damage_is_of_rows(db, failure) ? pass_damaged(db, range, chore, layer, failure)
                                          : -1;
}

/* Rows of reports that damage left without a layer, and that of the run. 1: there are more. */
static int sweep(struct db *db, const struct range *range, struct chore *chore,
                 struct failure *failure)
{
    struct layer_key first, next;
    size_t deleted = 0;

    if (erase_strays(db, range->run, range->layer, &deleted, failure))
        return -1;
    chore->reports += deleted;
    if (deleted == ERASE_REPORTS_MAX)
        return 1;
    layer_key_set(&first, range->run, "");
    first.attempt = 0;
    if (scan_layer_key(db, &first, &next, failure))
        return -1;
    return strcmp(next.run, range->run) != 0 ? run_row_delete(db, range->run, failure)
                                             : 0;
}

static int delete_some(struct writer *writer, struct chore *chore,
                       const struct range *range, struct failure *failure)
{
    struct db *db = &writer->db;
    const uint64_t begun_with = chore->reports;
    size_t left = ERASE_REPORTS_MAX, deleted = 0;
    struct layer_row layer;
    int found = 0;

    while (left > 0 && (found = next_layer(db, range, chore, &layer, failure)) == 1) {
        chore->at = layer.key;
        if (range->from <= layer.step_max && range->to >= layer.step_min &&
            erase_reports(db, &layer, range->from, range->to, left, writer->rules,
                          &deleted, failure)) {
            found = -1;
            break;
        }
        left -= deleted < left ? deleted : left;
        chore->reports += deleted;
        /* A layer whose range is not empty yet uses up the step. */
        if (left > 0)
            chore->at.attempt++;
        deleted = 0;
    }
    if (found == 0 && has_all_steps(range))
        found = sweep(db, range, chore, failure);
    if (found >= 0 && chore->reports > begun_with &&
        erase_note_sequence(db, writer->next.sequence - 1, failure) &&
        !damage_is_of_rows(db, failure))
        found = -1;
    return found;
}

static bool in_range(void *arg, const struct waiting *waiting)
{
    const struct range *range = arg;

    return has_layer(range, &waiting->key) && waiting->step >= range->from &&
           waiting->step <= range->to;
}

/* Shards that wait go first. 1: there are more. */
static int drop_waiting(struct db *db, struct chore *chore, struct range *range,
                        struct failure *failure)
{
    int dropped = waiting_drop(db, ERASE_REPORTS_MAX, in_range, range, failure);

    if (dropped < 0 && damage_is_of_rows(db, failure))
        dropped = waiting_drop_damaged(db, range->run, range->layer, range->from,
                                       range->to, failure);
    if (dropped < 0)
        return -1;
    chore->dropped = chore->dropped || dropped > 0;
    return dropped == ERASE_REPORTS_MAX;
}

/* Whether there is such a run and layer; a damaged one is there. 0: *reason says what is
 * missing. */
static int is_there(struct db *db, struct chore *chore, const struct range *range,
                    struct failure *reason, struct failure *failure)
{
    struct layer_row layer;
    struct run_row run;

    if (need_run(db, range->run, &run, failure)) {
        if (damage_is_of_rows(db, failure))
            return 1;
        *reason = *failure;
        *failure = (struct failure){0};
        return reason->status == TRIT_NOT_FOUND ? 0 : fail_as(failure, reason);
    }
    int found = next_layer(db, range, chore, &layer, failure);

    if (found == 0)
        fail(reason, TRIT_NOT_FOUND, "layer", "no layer \"%s\" in run \"%s\"",
             range->layer, range->run);
    return found;
}

/* Nothing to delete is an error, unless shards that waited were deleted, or what damage left
 * of such a run or layer. */
static int nothing_found(struct db *db, struct chore *chore, const struct range *range,
                         const struct failure *reason, struct failure *failure)
{
    int more = has_all_steps(range) ? sweep(db, range, chore, failure) : 0;

    if (more != 0 || chore->dropped || chore->reports > 0)
        return more;
    return fail_as(failure, reason);
}

static int delete_reports(struct writer *writer, struct chore *chore,
                          struct failure *failure)
{
    const struct store_change *change = chore->change;
    struct db *db = &writer->db;
    struct failure reason = {.status = TRIT_OK};
    struct range range = {
        .run = change->run,
        .layer = change->layer,
        .from = change->step_from > INT64_MAX ? INT64_MAX : (int64_t)change->step_from,
        .to = change->step_to > INT64_MAX ? INT64_MAX : (int64_t)change->step_to,
    };

    if (!chore->begun) {
        int more = drop_waiting(db, chore, &range, failure);

        if (more)
            return more;
        layer_key_set(&chore->at, change->run, change->layer);
        chore->at.attempt = 0;
        int found = is_there(db, chore, &range, &reason, failure);

        if (found < 0)
            return -1;
        if (found == 0)
            return nothing_found(db, chore, &range, &reason, failure);
        chore->begun = true;
    }
    return delete_some(writer, chore, &range, failure);
}

static int clean_run(struct writer *writer, struct chore *chore, struct failure *failure)
{
    const struct range range = {.run = chore->clean, .layer = "", .to = INT64_MAX};

    struct run_row run;

    if (!chore->begun) {
        /* The checksum of its row must say so, too. */
        int found = find_run(&writer->db, chore->clean, &run, failure);

        if (found <= 0 || !(run.state & RUN_FORMING))
            return found < 0 ? -1 : 0;
        layer_key_set(&chore->at, chore->clean, "");
        chore->at.attempt = 0;
    }
    chore->begun = true;
    return delete_some(writer, chore, &range, failure);
}

/* ---- any change ------------------------------------------------------------ */

static int step(struct writer *writer, struct chore *chore, struct failure *failure)
{
    switch (chore->kind) {
    case CHORE_REWIND:
        return rewind_run(writer, chore, failure);
    case CHORE_FORK:
        return fork_step(&writer->db, &writer->next, writer->rules, &chore->fork,
                         &chore->reports, failure);
    case CHORE_DELETE:
        return delete_reports(writer, chore, failure);
    case CHORE_CLEAN:
        return clean_run(writer, chore, failure);
    }
    return 0;
}

int chore_step(struct writer *writer, void *chore, struct failure *failure)
{
    return step(writer, chore, failure);
}

static void free_chore(struct mailbox_message *message)
{
    free(LIST_OWNER(message, struct chore, message));
}

struct chore *chore_create_clean(const char *run)
{
    struct chore *chore = calloc(1, sizeof(*chore));

    if (!chore)
        return NULL;
    chore->kind = CHORE_CLEAN;
    chore->message.deliver = free_chore;
    strncpy(chore->clean, run, sizeof(chore->clean) - 1);
    return chore;
}

bool chore_fail(struct chore *chore, uint64_t reports, const struct failure *failure)
{
    chore->reports = reports;
    if (chore->failure.status == TRIT_OK) {
        chore->failure = *failure;
        if (chore->kind == CHORE_DELETE && chore->reports > 0)
            fail_context(&chore->failure, "after %" PRIu64 " reports were deleted",
                         chore->reports);
    }
    if (chore->kind != CHORE_FORK || !chore->fork.begun)
        return false;
    memcpy(chore->clean, chore->fork.to, sizeof(chore->clean));
    chore->kind = CHORE_CLEAN;
    chore->begun = false;
    return true;
}
