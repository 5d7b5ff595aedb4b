/* SPDX-License-Identifier: Apache-2.0 */
/* Flips that are counted while the codes arrive: from which upload. */
#include <stddef.h>
#include <string.h>

#include "store/commit_steps.h"

/* The report that a commit would find now. It may find another one later. */
static int find_early(struct commit *commit, struct failure *failure)
{
    enum commit_outcome outcome;

    if (commit_find_layer(commit, &outcome, failure) ||
        (outcome == COMMIT_NEW && commit_find_report(commit, &outcome, failure)) ||
        (outcome == COMMIT_NEW && commit_find_before(commit, failure)))
        return -1;
    return outcome == COMMIT_NEW;
}

int flips_begin(struct db *db, const struct store_put *expected,
                struct codes_early *early, struct failure *failure)
{
    struct trit_report report = *expected->report;
    struct store_put put = {.report = &report, .question = expected->question};
    struct codes nothing = {0};
    struct commit commit;
    int found;

    *early = (struct codes_early){0};
    if (codes_layout_init(&early->layout, &report))
        return 0;
    memset(&commit, 0, offsetof(struct commit, run));
    commit.db = db;
    commit.put = &put;
    commit.codes = commit.scales = &nothing;
    commit.asked_attempt = report.attempt;
    question_encode(&put.question, commit.question);
    found = find_early(&commit, failure);
    if (found == 1 && commit_comparable(&commit))
        early->from = commit.before.upload;
    return found < 0 ? -1 : 0;
}
