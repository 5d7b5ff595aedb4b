/* SPDX-License-Identifier: Apache-2.0 */
#include "store/chore.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/erase.h"
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
    const char *run, *layer; /* layer NULL: all */
    int64_t from, to;
};

/* Finds the next layer of the range at or after chore->at. 1: found. 0: no more. */
static int next_layer(struct db *db, const struct range *range, struct chore *chore,
                      struct layer_row *layer, struct failure *failure)
{
    int found = find_layer(db, &chore->at, layer, failure);

    if (found < 0)
        return -1;
    return strcmp(layer->key.run, range->run) == 0 &&
           (!range->layer || strcmp(layer->key.layer, range->layer) == 0);
}

static int delete_some(struct writer *writer, struct chore *chore,
                       const struct range *range, struct failure *failure)
{
    struct db *db = &writer->db;
    size_t left = ERASE_REPORTS_MAX, deleted = 0;
    struct layer_key begun_at = chore->at;
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
        left -= deleted;
        chore->reports += deleted;
        /* A layer whose range is not empty yet uses up the step. */
        if (left > 0)
            chore->at.attempt++;
        deleted = 0;
    }
    if (found >= 0 && left < ERASE_REPORTS_MAX &&
        erase_note_sequence(db, writer->next.sequence - 1, failure))
        found = -1;
    if (found < 0) {
        chore->at = begun_at;
        chore->reports -= ERASE_REPORTS_MAX - left;
    }
    return found;
}

static bool in_range(void *arg, const struct waiting *waiting)
{
    const struct range *range = arg;

    return strcmp(waiting->key.run, range->run) == 0 &&
           (!range->layer || strcmp(waiting->key.layer, range->layer) == 0) &&
           waiting->step >= range->from && waiting->step <= range->to;
}

/* Shards that wait go first. 1: there are more. */
static int drop_waiting(struct writer *writer, struct chore *chore, struct range *range,
                        struct failure *failure)
{
    int dropped = waiting_drop(&writer->db, ERASE_REPORTS_MAX, in_range, range, failure);

    if (dropped < 0)
        return -1;
    chore->dropped = chore->dropped || dropped > 0;
    return dropped == ERASE_REPORTS_MAX;
}

/* Nothing to delete is an error, unless shards that waited were deleted. */
static int nothing_found(const struct chore *chore, const struct failure *reason,
                         struct failure *failure)
{
    if (chore->dropped && reason->status == TRIT_NOT_FOUND)
        return 0;
    return fail(failure, reason->status, NULL, "%s", reason->message);
}

static int delete_reports(struct writer *writer, struct chore *chore,
                          struct failure *failure)
{
    const struct store_change *change = chore->change;
    struct failure reason = {.status = TRIT_OK};
    struct range range = {
        .run = change->run,
        .layer = change->layer[0] ? change->layer : NULL,
        .from = change->step_from > INT64_MAX ? INT64_MAX : (int64_t)change->step_from,
        .to = change->step_to > INT64_MAX ? INT64_MAX : (int64_t)change->step_to,
    };
    struct layer_row layer;
    struct run_row run;

    if (chore->begun)
        return delete_some(writer, chore, &range, failure);
    int more = drop_waiting(writer, chore, &range, failure);

    if (more)
        return more;
    if (need_run(&writer->db, change->run, &run, &reason))
        return nothing_found(chore, &reason, failure);
    layer_key_set(&chore->at, change->run, change->layer);
    chore->at.attempt = 0;
    int found = next_layer(&writer->db, &range, chore, &layer, failure);

    if (found < 0)
        return -1;
    if (found == 0) {
        fail(&reason, TRIT_NOT_FOUND, "layer", "no layer \"%s\" in run \"%s\"",
             change->layer, change->run);
        return nothing_found(chore, &reason, failure);
    }
    chore->begun = true;
    return delete_some(writer, chore, &range, failure);
}

static int clean_run(struct writer *writer, struct chore *chore, struct failure *failure)
{
    const struct range range = {.run = chore->clean, .to = INT64_MAX};

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

bool chore_fail(struct chore *chore, const struct failure *failure)
{
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
