/* SPDX-License-Identifier: Apache-2.0 */
/* The health of a report that is committed, and its place in the history. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/commit_steps.h"
#include "store/rebuild.h"

enum { PAST_REPORTS_REPLAYED = 64 };

/* ---- the past of a new attempt ------------------------------------------------------ */

/* The step from which on the reports of a layer are read again, at most
 * PAST_REPORTS_REPLAYED before `to`. */
struct replay {
    const struct health_rules *rules;
    struct health_past *past;
    int64_t from;
    unsigned count;
};

static int count_back(void *arg, const struct report_row *row, struct failure *failure)
{
    struct replay *replay = arg;

    (void)failure;
    replay->from = row->step;
    return ++replay->count < PAST_REPORTS_REPLAYED;
}

static int judge_again(void *arg, const struct report_row *row, struct failure *failure)
{
    struct replay *replay = arg;
    struct trit_report report;

    if (report_row_decode(row, &report, failure))
        return -1;
    report.step = (uint64_t)row->step;
    health_judge(replay->rules, replay->past, NULL, &report);
    return 1;
}

static int replay_layer(struct commit *commit, const struct layer_row *layer, int64_t to,
                        struct replay *replay, struct failure *failure)
{
    struct db *db = commit->db;
    struct report_walk walk = {.layer = layer,
                               .from = layer->step_min,
                               .to = to,
                               .backwards = true,
                               .visit = count_back,
                               .arg = replay};

    if (walk_reports(db, &walk, failure) < 0 && !commit_does_without(commit, failure))
        return -1;
    if (replay->count == 0)
        return 0;
    walk.from = replay->from;
    walk.backwards = false;
    walk.visit = judge_again;
    return walk_reports(db, &walk, failure) < 0 ? -1 : 0;
}

/* The past up to the step that the attempt resumed from, of the newest attempt before it
 * that has the layer. */
static int resume_past(struct commit *commit, struct failure *failure)
{
    struct layer_key key = commit->layer.key;
    struct replay replay = {.rules = commit->rules, .past = &commit->past.past};

    while (--key.attempt > 0) {
        const int64_t from = commit->run.after[key.attempt - 1] + 1;
        const int64_t to = run_until(&commit->run, key.attempt);
        struct layer_row layer;
        const int found = find_layer(commit->db, &key, &layer, failure);

        if (found < 0)
            return -1;
        if (found == 1 && from <= to && layer.step_min <= to && layer.step_max >= from)
            return replay_layer(commit, &layer, to, &replay, failure);
    }
    return 0;
}

/* What is damaged in it is made again from the reports. */
static int find_own_past(struct commit *commit, struct failure *failure)
{
    struct past_row *past = &commit->past;
    const struct layer_row *layer = &commit->layer;
    struct failure damage = {0};

    if (past_read(commit->db, layer, past, failure)) {
        if (!commit_does_without(commit, failure) ||
            past_remake(commit->db, commit->rules, layer, past, failure))
            return -1;
    }
    if (past->damaged == STEP_NONE)
        return 0;
    fail(&damage, TRIT_DATA_LOSS, NULL,
         "reports of run \"%s\", layer \"%s\", up to step %" PRId64 " are damaged",
         layer->key.run, layer->key.layer, past->damaged);
    commit_does_without(commit, &damage);
    return 0;
}

int commit_find_past(struct commit *commit, struct failure *failure)
{
    if (!commit->layer_is_new)
        return find_own_past(commit, failure);
    past_row_init(&commit->past, &commit->layer.key);
    return resume_past(commit, failure) == 0 || commit_does_without(commit, failure) ? 0
                                                                                     : -1;
}

/* ---- judging ------------------------------------------------------------------------ */

/* What comparing the report with other replicas found. NULL: no difference. */
static const struct health_replica *mismatch_of(const struct trit_report *report,
                                                struct health_replica *mismatch)
{
    for (uint32_t i = 0; i < report->finding_count; i++) {
        const struct trit_finding *finding = &report->findings[i];

        if (!replica_finding(finding, &mismatch->replica, &mismatch->since))
            continue;
        mismatch->codes_differ =
            finding->kind == TRIT_FINDING_CODES_DIFFER ? finding->count : 0;
        return mismatch;
    }
    return NULL;
}

static void tell_damage(struct commit *commit)
{
    struct trit_report *report = commit->put->report;
    struct trit_health_reason reason;

    if (commit->met_damage && health_is_damaged(commit->rules, report->step, &reason))
        health_add(report, &reason);
}

void commit_judge(struct commit *commit)
{
    struct health_replica found;
    const struct health_replica *mismatch = mismatch_of(commit->put->report, &found);

    struct trit_report *report = commit->put->report;
    struct past_row *past = &commit->past;
    double drift;

    if (is_newest(commit)) {
        drift = health_judge(commit->rules, &past->past, mismatch, report);
        tell_damage(commit);
        past->step = (int64_t)report->step;
        past->health = report->health;
    } else {
        /* The past is that of later steps: the report is judged by it, and does not become
         * a part of it. */
        struct health_past copy = past->past;

        drift = health_judge(commit->rules, &copy, mismatch, report);
        tell_damage(commit);
    }
    cell_of_report(&commit->cell, report, drift);
}

/* Whether the report is older than all that the layer has, and the history has or had cells
 * of such reports. They were deleted, and their cells must not be seen again. 1, 0 or -1. */
static int is_before_history(const struct commit *commit, struct failure *failure)
{
    if ((int64_t)commit->put->report->step >= commit->step_min)
        return 0;
    return history_reaches_below(commit->db, &commit->past, commit->step_min, failure);
}

static int add_to_history(struct commit *commit, struct failure *failure)
{
    struct db *db = commit->db;
    struct past_row *past = &commit->past;
    const int before = is_before_history(commit, failure);

    if (before != 0)
        return before < 0 ? -1 : past_rebuild(db, commit->rules, &commit->layer, failure);
    if (history_add(db, past, &commit->cell, failure))
        return -1;
    /* Who reads the row adds newer reports only. */
    if (past->step != (int64_t)commit->put->report->step || past_row_is_due(past))
        return past_row_put(db, past, failure);
    past_row_keep(db, past);
    return 0;
}

int commit_history(struct commit *commit, struct failure *failure)
{
    struct db *db = commit->db;

    if (add_to_history(commit, failure) == 0)
        return 0;
    if (commit_does_without(commit, failure))
        return past_remake(db, commit->rules, &commit->layer, &commit->past, failure);
    /* Rows were written already: they must not be committed. */
    db->damaged = db->damaged || failure->status == TRIT_DATA_LOSS;
    return -1;
}
