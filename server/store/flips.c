/* SPDX-License-Identifier: Apache-2.0 */
/* Codes of a commit, and the flips since the report before it. */
#include <inttypes.h>
#include <string.h>

#include "store/commit_steps.h"

bool is_newest(const struct commit *commit)
{
    return (int64_t)commit->put->report->step > commit->layer.step_max;
}

/* ---- the report before ----------------------------------------------------- */

static int take_before(struct commit *commit, const struct report_row *row,
                       struct failure *failure)
{
    struct before *before = &commit->before;
    struct kept_row kept = {0};
    struct trit_report report;
    struct store_question question;

    if (report_row_decode(row, &report, failure) ||
        find_kept(commit->db, row->sequence, &kept, failure) < 0)
        return -1;
    before->step = row->step;
    /* Without its question the partial-group rule is not known. */
    if (question_decode(row->question, row->question_bytes, &question))
        return 0;
    before->upload = kept.upload;
    before->group_size = report.group_size;
    before->partial = (int64_t)question.partial;
    codes_shape(&report, before->shape);
    return 0;
}

/* The newest step up to `until` of an older attempt. 1: there is one. */
static int find_in_attempt(struct commit *commit, int64_t attempt, int64_t until,
                           struct failure *failure)
{
    struct layer_key key = commit->layer.key;
    struct layer_row layer;
    struct report_row row;
    int64_t step;

    key.attempt = attempt;
    int found = find_layer(commit->db, &key, &layer, failure);

    if (found != 1 || layer.step_min > until)
        return found < 0 ? -1 : 0;
    if (find_newest_step(commit->db, &layer, until, &step, failure) ||
        (found = find_report(commit->db, &layer, step, &row, failure)) < 0)
        return -1;
    int result = found ? take_before(commit, &row, failure) : 0;

    report_row_release(&row);
    return result ? -1 : found;
}

int commit_find_before(struct commit *commit, struct failure *failure)
{
    const struct layer_row *layer = &commit->layer;
    const struct run_row *run = &commit->run;
    int64_t until = INT64_MAX;
    int found = 0;

    commit->before = (struct before){.step = STEP_NONE};
    if (!is_newest(commit))
        return 0;
    if (!commit->layer_is_new) {
        commit->before = (struct before){.step = layer->step_max,
                                         .upload = layer->upload,
                                         .group_size = layer->group_size,
                                         .partial = layer->partial};
        memcpy(commit->before.shape, layer->shape, sizeof(layer->shape));
        return 0;
    }
    for (int64_t attempt = run->attempts - 1; attempt > 0 && found == 0; attempt--) {
        until = run->after[attempt] < until ? run->after[attempt] : until;
        found = find_in_attempt(commit, attempt, until, failure);
        if (found < 0 && commit_does_without(commit, failure)) {
            commit->before = (struct before){.step = STEP_NONE};
            return 0;
        }
    }
    return found < 0 ? -1 : 0;
}

/* ---- codes ----------------------------------------------------------------- */

bool commit_comparable(const struct commit *commit)
{
    const struct before *before = &commit->before;
    char shape[SHAPE_TEXT_BYTES];

    codes_shape(commit->put->report, shape);
    return before->upload != 0 && strcmp(before->shape, shape) == 0 &&
           before->group_size == commit->put->report->group_size &&
           before->partial == (int64_t)commit->put->question.partial;
}

static int count_flips(struct commit *commit, const struct kernels *kernels,
                       const struct codes_layout *layout, struct failure *failure)
{
    struct trit_report *report = commit->put->report;
    const struct store_upload *upload = commit->put->upload;
    struct codes_early early = {0}; /* as for a report that is made of shards */
    uint64_t *table = early.table, flips = 0, all = 0;

    if (upload)
        early = upload->early;
    if (codes_transitions(commit->db, kernels, commit->before.upload, commit->codes,
                          layout, &early, failure))
        return fail_context(failure, "the codes kept of step %" PRId64,
                            commit->before.step);
    for (int i = 0; i < 9; i++) {
        all += table[i];
        if (i / 3 != i % 3)
            flips += table[i];
    }
    memcpy(report->transitions, table, sizeof(early.table));
    report->has_previous = true;
    report->previous_step = (uint64_t)commit->before.step;
    report->flips = flips;
    report->flip_fraction = all ? (double)flips / (double)all : 0;
    return 0;
}

int commit_codes(struct commit *commit, const struct kernels *kernels,
                 const struct codes_layout *layout, struct failure *failure)
{
    struct codes *codes = commit->codes;

    if (codes_flush(codes, commit->db, &commit->next->upload, failure) ||
        codes_flush(commit->scales, commit->db, &commit->next->upload, failure))
        return -1;
    if (!is_newest(commit))
        return 0;
    if (codes->upload == 0 || !commit_comparable(commit) ||
        count_flips(commit, kernels, layout, failure) == 0)
        return 0;
    /* Flips are never counted from damaged codes. */
    return commit_does_without(commit, failure) ? 0 : -1;
}
