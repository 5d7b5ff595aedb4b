/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit finds: the run and its attempt, the layer, and a report with the same
 * key. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/commit_steps.h"

/* ---- the run and its attempt ----------------------------------------------- */

static int refuse_attempt(struct commit *commit, enum trit_status status,
                          const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse_attempt(struct commit *commit, enum trit_status status,
                          const char *format, ...)
{
    char text[TRIT_MESSAGE_BYTES_MAX + 1];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fail_field(&commit->put->failure, status, "layer.attempt", "%s", text);
    return 0;
}

static int find_attempt(struct commit *commit, enum commit_outcome *outcome,
                        struct failure *failure)
{
    struct trit_report *report = commit->put->report;
    struct run_row *run = &commit->run;
    uint32_t wanted = commit->asked_attempt;

    if (find_run(commit->db, report->run, run, failure) < 0)
        return -1;
    *outcome = COMMIT_REFUSED;
    if (run->state & RUN_FORMING)
        return refuse_attempt(commit, TRIT_FAILED_PRECONDITION,
                              "run \"%s\" is being copied from another one; try again "
                              "when Fork has answered",
                              run->run);
    if (wanted > run->attempts + 1)
        return refuse_attempt(commit, TRIT_INVALID_ARGUMENT,
                              "%" PRIu32 ": run \"%s\" has %" PRIu32
                              " attempts, so the next is %" PRIu32,
                              wanted, run->run, run->attempts, run->attempts + 1);
    if (wanted != 0 && wanted < run->attempts)
        return refuse_attempt(commit, TRIT_FAILED_PRECONDITION,
                              "%" PRIu32 ": run \"%s\" goes on with attempt %" PRIu32
                              ", and older attempts take no more reports",
                              wanted, run->run, run->attempts);
    *outcome = COMMIT_NEW;
    if (run->attempts > 0 && wanted <= run->attempts) {
        report->attempt = run->attempts;
        return 0;
    }
    commit->run_changed = true;
    if (run_add_attempt(commit->db, run,
                        run->attempts ? (int64_t)report->step - 1 : STEP_NONE,
                        ATTEMPT_BY_PUT, &commit->put->failure))
        *outcome = COMMIT_REFUSED;
    report->attempt = run->attempts;
    return 0;
}

/* ---- the layer ------------------------------------------------------------- */

static int find_key(struct commit *commit, struct failure *failure)
{
    const struct trit_report *report = commit->put->report;
    struct layer_key key;

    layer_key_set(&key, report->run, report->layer);
    key.replica = report->replica;
    key.attempt = report->attempt;
    int found =
        layer_find_or_gap(commit->db, &key, &commit->layer, &commit->gap, failure);

    commit->layer_is_new = found == 0;
    return found < 0 ? -1 : 0;
}

int commit_find_layer(struct commit *commit, enum commit_outcome *outcome,
                      struct failure *failure)
{
    if (find_attempt(commit, outcome, failure))
        return -1;
    return *outcome == COMMIT_NEW ? find_key(commit, failure) : 0;
}

/* ---- the same key ---------------------------------------------------------- */

enum { DIGEST_SHOWN_BYTES = 6 };

static void digest_text(const uint8_t *digest, char text[2 * DIGEST_SHOWN_BYTES + 1])
{
    for (size_t i = 0; i < DIGEST_SHOWN_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static void refuse(struct store_put *put, const struct trit_report *stored,
                   const char *difference)
{
    char title[REPORT_TITLE_BYTES];
    char there[2 * DIGEST_SHOWN_BYTES + 1], given[2 * DIGEST_SHOWN_BYTES + 1];

    report_title(put->report, title);
    digest_text(stored->digest, there);
    digest_text(put->report->digest, given);
    fail(&put->failure, TRIT_ALREADY_EXISTS, "layer.step",
         "%s: already exists with digest %s; this one has digest %s%s; use another step, "
         "or attempt %" PRIu32 " if the run was resumed (see Reports.Rewind)",
         title, there, given, difference, stored->attempt + 1);
}

/* Copies the fields that only the store knows. */
static void take_history(struct trit_report *report, const struct trit_report *stored)
{
    report->attempt = stored->attempt;
    replica_findings_copy(report, stored);
    report->time_unix_ns = stored->time_unix_ns;
    report->has_previous = stored->has_previous;
    report->previous_step = stored->previous_step;
    report->flips = stored->flips;
    report->flip_fraction = stored->flip_fraction;
    memcpy(report->transitions, stored->transitions, sizeof(report->transitions));
    report->health = stored->health;
    report->health_reason_count = stored->health_reason_count;
    memcpy(report->health_reasons, stored->health_reasons,
           sizeof(report->health_reasons));
}

/* Compares the stored report with the put. */
int commit_compare(struct commit *commit, const struct report_row *row,
                   enum commit_outcome *outcome, struct failure *failure)
{
    struct store_put *put = commit->put;
    struct trit_report report, answer;
    char difference[DIFFERENCE_BYTES];

    if (put->shard)
        return commit_compare_shard(commit, row, outcome, failure);
    if (report_row_decode(row, &report, failure))
        return -1;
    answer = report;
    replica_findings_strip(&answer);
    const struct answer stored = {&answer, row->question, row->question_bytes};
    const struct answer given = {put->report, commit->question, QUESTION_BYTES};

    if (same_answer(&stored, &given, difference)) {
        take_history(put->report, &report);
        *outcome = COMMIT_EXISTED;
    } else {
        refuse(put, &report, difference);
        *outcome = COMMIT_REFUSED;
    }
    return 0;
}

/* In the table of this attempt. */
static int find_same(struct commit *commit, enum commit_outcome *outcome,
                     struct failure *failure)
{
    const struct layer_row *layer = &commit->layer;
    struct report_row row;
    /* A new layer has no steps: any row found from step 0 on is damage. */
    int64_t step = commit->layer_is_new ? 0 : (int64_t)commit->put->report->step;

    /* When the writer read this row it looked whether a later step exists. */
    if (layer->is_cached && is_newest(commit)) {
        commit->previous = layer->step_max;
        return 0;
    }
    int found = find_report(commit->db, layer, step, &row, failure);
    int result = 0;

    if (found < 0)
        return -1;
    if (found == 1) {
        result = commit_compare(commit, &row, outcome, failure);
    } else if (row.select) {
        commit->has_next = true;
        commit->next_step = row.step;
        commit->previous = row.previous;
        row.previous = step;
        commit->next_crc = report_row_crc(&row);
    } else {
        commit->previous = layer->step_max;
    }
    report_row_release(&row);
    return result;
}

/* The step belongs to an older attempt, from which this one resumed later. */
static int find_older(struct commit *commit, enum commit_outcome *outcome,
                      struct failure *failure)
{
    struct trit_report *report = commit->put->report;
    const struct run_row *run = &commit->run;
    int64_t step = (int64_t)report->step;
    struct layer_key key = commit->layer.key;
    struct layer_row layer;
    struct report_row row;

    key.attempt = run_attempt_at(run, step);
    int found = find_layer(commit->db, &key, &layer, failure);

    if (found == 1) {
        found = find_report(commit->db, &layer, step, &row, failure);
        int result = found == 1 ? commit_compare(commit, &row, outcome, failure) : 0;

        if (found >= 0)
            report_row_release(&row);
        if (result)
            return -1;
    }
    if (found != 0)
        return found < 0 ? -1 : 0;
    *outcome = COMMIT_REFUSED;
    return refuse_attempt(commit, TRIT_FAILED_PRECONDITION,
                          "attempt %" PRIu32 " of run \"%s\" goes on after step %" PRId64
                          ", so step %" PRId64 " belongs to attempt %" PRId64
                          ", which takes no more reports; attempt %" PRIu32
                          " can begin there",
                          run->attempts, run->run, run->after[run->attempts - 1], step,
                          key.attempt, run->attempts + 1);
}

int commit_find_report(struct commit *commit, enum commit_outcome *outcome,
                       struct failure *failure)
{
    struct run_row *run = &commit->run;
    uint32_t newest = run->attempts - 1;
    int64_t step = (int64_t)commit->put->report->step;

    *outcome = COMMIT_NEW;
    if (step > run->after[newest])
        return find_same(commit, outcome, failure);
    if (commit->asked_attempt == 0 || run->start[newest] != ATTEMPT_BY_PUT)
        return find_older(commit, outcome, failure);
    /* The layers of an attempt need not report in order of their steps. */
    run->after[newest] = step - 1;
    commit->run_changed = true;
    return find_same(commit, outcome, failure);
}
