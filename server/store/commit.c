/* SPDX-License-Identifier: Apache-2.0 */
/* Committing a report takes these steps:
 *   1. Find the run's row: it has the attempts. Find the layer's row of this attempt. It
 *      says which step is the newest and which upload holds that step's codes. If the
 *      layer is new, find its neighbours instead.
 *   2. Look for a report with the same key. If it gives the same answer, the put
 *      `existed`; if not, the put is refused. Either way the new codes are deleted.
 *   3. If the step is the layer's newest, write the rest of its codes. If the report
 *      before it in the lineage has codes of the same layout, count the flips.
 *   4. Insert the report, which names the step before it, and link the step after it.
 *      Write the layer's row, and link its neighbour if the layer is new. Delete the
 *      codes that the layer had before.
 * The layer's past is read with the rest, and written with the history at the end.
 * Everything that is read is checked before a row is written. So when a checksum finds
 * damage there is nothing to undo, except codes that no layer refers to. All statements
 * run inside one transaction; a later report of the same batch sees the result. */
#include "store/commit.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "codec/codec.h"
#include "store/joined.h"
#include "store/statements.h"
#include "store/waiting.h"

/* ---- 4. rows --------------------------------------------------------------- */

static int insert_report(struct commit *commit, int64_t sequence, struct failure *failure)
{
    const struct trit_report *report = commit->put->report;
    uint8_t bytes[REPORT_BYTES_MAX];
    size_t count = encode_report(report, bytes, sizeof(bytes));
    const struct report_row row = {
        .sequence = sequence,
        .key = &commit->layer.key,
        .step = (int64_t)report->step,
        .previous = commit->previous,
        .time_unix_ns = report->time_unix_ns,
        .digest = report->digest,
        .digest_bytes = TRIT_DIGEST_BYTES,
        .question = commit->question,
        .question_bytes = QUESTION_BYTES,
        .report = bytes,
        .report_bytes = count,
    };

    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the report cannot be encoded");
    return report_row_insert(commit->db, &row, failure);
}

/* Makes the later step name this report as the one before it. */
static int link_next_report(struct commit *commit, struct failure *failure)
{
    const struct trit_report *report = commit->put->report;
    sqlite3_stmt *link = statement(commit->db, ST_REPORT_LINK, failure);

    if (!link)
        return -1;
    int bound = bind_key(link, 1, &commit->layer.key) |
                db_bind_i64(link, 5, commit->next_step) |
                db_bind_i64(link, 6, (int64_t)report->step) |
                db_bind_i64(link, 7, commit->next_crc);

    return db_run_bound(commit->db, link, bound, failure);
}

/* Updates the layer's row, in memory, for this report. */
static void update_layer(struct commit *commit)
{
    const struct trit_report *report = commit->put->report;
    struct layer_row *layer = &commit->layer;
    int64_t step = (int64_t)report->step;

    if (is_newest(commit)) {
        layer->step_max = step;
        layer->upload = commit->codes->upload;
        codes_shape(report, layer->shape);
        layer->group_size = report->group_size;
        layer->partial = (int64_t)commit->put->question.partial;
    }
    commit->step_min = layer->step_min;
    if (commit->layer_is_new || step < layer->step_min)
        layer->step_min = step;
    if (commit->layer_is_new || report->time_unix_ns > layer->time_unix_ns)
        layer->time_unix_ns = report->time_unix_ns;
    layer->reports++;
}

/* Notes which uploads the report has. */
static int keep_codes(struct commit *commit, int64_t sequence, struct failure *failure)
{
    const struct kept_row kept = {.sequence = sequence,
                                  .upload = commit->codes->upload,
                                  .scales = commit->scales->upload,
                                  .bytes = (int64_t)commit->codes->bytes +
                                           (int64_t)commit->scales->bytes};

    return kept.upload ? kept_row_put(commit->db, &kept, failure) : 0;
}

static int write_rows(struct commit *commit, struct failure *failure)
{
    int64_t sequence = commit->next->sequence;

    update_layer(commit);
    if (insert_report(commit, sequence, failure) ||
        (commit->put->joined &&
         joined_put(commit->db, sequence, commit->put->joined, failure)) ||
        keep_codes(commit, sequence, failure) ||
        (commit->has_next && link_next_report(commit, failure)) ||
        (commit->run_changed && run_row_put(commit->db, &commit->run, failure)) ||
        (commit->run_changed &&
         waiting_drop_older(commit->db, commit->run.run, commit->run.attempts, failure)))
        return -1;
    commit->next->sequence++;
    return commit->layer_is_new
               ? layer_link_in(commit->db, &commit->layer, &commit->gap, failure)
               : layer_row_update(commit->db, &commit->layer, failure);
}

/* ---- the commit ------------------------------------------------------------- */

static int wrong_codes(const struct commit *commit, const char *what, uint64_t count,
                       uint64_t needed)
{
    char title[REPORT_TITLE_BYTES];

    report_title(commit->put->report, title);
    return fail(&commit->put->failure, TRIT_INTERNAL, NULL,
                "%s: %" PRIu64 " bytes of %s, but its shape needs %" PRIu64, title, count,
                what, needed);
}

/* The codes must be complete or absent; anything else is an error of the caller. */
static int check_codes(struct commit *commit, struct codes_layout *layout)
{
    struct store_put *put = commit->put;
    const uint64_t codes = commit->codes->bytes, scales = commit->scales->bytes;
    uint64_t scale_bytes;

    if (codes_layout_init(layout, put->report)) {
        char title[REPORT_TITLE_BYTES];

        report_title(put->report, title);
        return fail(&put->failure, TRIT_INTERNAL, NULL,
                    "%s: its shape or group size is not valid", title);
    }
    if (codes != 0 && codes != layout->bytes)
        return wrong_codes(commit, "codes", codes, layout->bytes);
    if (mul_overflows(put->report->groups, sizeof(float), &scale_bytes))
        scale_bytes = UINT64_MAX;
    if (scales != 0 && scales != scale_bytes)
        return wrong_codes(commit, "scales", scales, scale_bytes);
    return 0;
}

static void forget_flips(struct trit_report *report)
{
    report->has_previous = false;
    report->previous_step = report->flips = 0;
    report->flip_fraction = 0;
    memset(report->transitions, 0, sizeof(report->transitions));
}

int commit_report(struct db *db, const struct kernels *kernels, struct counters *next,
                  const struct health_rules *rules, struct store_put *put,
                  struct codes *codes, struct codes *scales, enum commit_outcome *outcome,
                  struct failure *failure)
{
    struct commit commit;
    struct codes_layout layout;

    memset(&commit, 0, offsetof(struct commit, run));
    commit.db = db;
    commit.put = put;
    commit.codes = codes;
    commit.scales = scales;
    commit.next = next;
    commit.rules = rules;
    commit.asked_attempt = put->asked_attempt;
    question_encode(&put->question, commit.question);
    replica_findings_strip(put->report);
    if (commit_find_layer(&commit, outcome, failure) ||
        (*outcome == COMMIT_NEW && commit_find_report(&commit, outcome, failure)) ||
        (*outcome == COMMIT_NEW && commit_find_waiting(&commit, outcome, failure)))
        return -1;
    if (*outcome == COMMIT_NEW && check_codes(&commit, &layout))
        *outcome = COMMIT_REFUSED;
    if (*outcome != COMMIT_NEW)
        return codes_delete(db, codes->upload, failure) ||
                       codes_delete(db, scales->upload, failure)
                   ? -1
                   : 0;
    forget_flips(put->report);
    if (commit_find_before(&commit, failure) || commit_find_past(&commit, failure) ||
        commit_codes(&commit, kernels, &layout, failure) ||
        commit_replicas(&commit, failure))
        return -1;
    commit_judge(&commit);
    return write_rows(&commit, failure) || commit_history(&commit, failure) ? -1 : 0;
}
