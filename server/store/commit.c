/* SPDX-License-Identifier: Apache-2.0 */
/* Committing a report takes these steps:
 *   1. Find the layer's row. It says which step is the newest and which upload holds
 *      that step's codes. If the layer is new, find its neighbours instead.
 *   2. Look for a report with the same key. If it gives the same answer, the put
 *      `existed`; if not, the put is refused. Either way the new codes are deleted.
 *   3. If the step is the layer's newest, write the rest of its codes. If the previous
 *      newest step has codes of the same layout, count the flips. If the step is
 *      older, delete its codes.
 *   4. Insert the report, which names the step before it, and link the step after it.
 *      Write the layer's row, and link its neighbour if the layer is new. Delete the
 *      codes that the layer had before.
 * Everything that is read is checked before a row is written. So when a checksum finds
 * damage there is nothing to undo, except codes that no layer refers to. All statements
 * run inside one transaction; a later report of the same batch sees the result. */
#include "store/commit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "store/question.h"
#include "store/statements.h"
#include "store/walk.h"

/* One commit, as far as it has got. */
struct commit {
    struct db *db;
    struct store_put *put;
    struct codes *codes;
    uint8_t question[QUESTION_BYTES];
    struct layer_row layer; /* the stored row; if new, only key and previous are set */
    bool layer_is_new;
    /* of a new layer */
    struct layer_row next_layer;
    struct totals_row totals;
    int64_t previous; /* the step before this report, or STEP_NONE */
    bool has_next;    /* the layer has a later step: */
    int64_t next_step;
    uint32_t next_crc; /* of its row once that names this report as previous */
};

void report_title(const struct trit_report *report, char title[REPORT_TITLE_BYTES])
{
    snprintf(title, REPORT_TITLE_BYTES,
             "report of run \"%s\", layer \"%s\", step %" PRIu64, report->run,
             report->layer, report->step);
}

/* Two reports have codes of the same layout if this text, the group size and the
 * partial-group rule are equal. */
static void shape_text(const struct trit_report *report, char text[SHAPE_TEXT_BYTES])
{
    size_t at = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < report->rank; i++)
        at += (size_t)snprintf(text + at, SHAPE_TEXT_BYTES - at, "%s%" PRIu64,
                               i ? "," : "", report->shape[i]);
    if (codes_cross_rows(report))
        snprintf(text + at, SHAPE_TEXT_BYTES - at, " flat");
}

/* ---- 1. the layer ---------------------------------------------------------- */

static int look_up_layer(struct commit *commit, struct failure *failure)
{
    struct layer_row row;
    struct layer_key key;

    layer_key_set(&key, commit->put->report->run, commit->put->report->layer);
    int found = find_layer(commit->db, &key, &row, failure);

    if (found < 0)
        return -1;
    commit->layer_is_new = found == 0;
    if (found == 1) {
        commit->layer = row;
        return 0;
    }
    if (totals_read(commit->db, &commit->totals, failure))
        return -1;
    commit->next_layer = row;
    commit->layer = (struct layer_row){.key = key,
                                       .previous = row.previous,
                                       .step_min = STEP_NONE,
                                       .step_max = STEP_NONE};
    return 0;
}

/* ---- 2. the same key ------------------------------------------------------- */

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
         "%s: already exists with digest %s; this one has digest %s%s; use another step",
         title, there, given, difference);
}

/* Copies the fields that only the store knows. */
static void take_history(struct trit_report *report, const struct trit_report *stored)
{
    report->time_unix_ns = stored->time_unix_ns;
    report->has_previous = stored->has_previous;
    report->previous_step = stored->previous_step;
    report->flips = stored->flips;
    report->flip_fraction = stored->flip_fraction;
    memcpy(report->transitions, stored->transitions, sizeof(report->transitions));
}

/* Compares the stored report with the put. */
static int compare(struct commit *commit, const struct report_row *row,
                   enum commit_outcome *outcome, struct failure *failure)
{
    struct store_put *put = commit->put;
    struct trit_report report;
    char difference[DIFFERENCE_BYTES];

    if (report_row_decode(row, &report, failure))
        return -1;
    const struct answer stored = {&report, row->question, row->question_bytes};
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

/* COMMIT_NEW: the key is free. */
static int look_up_report(struct commit *commit, enum commit_outcome *outcome,
                          struct failure *failure)
{
    const struct layer_row *layer = &commit->layer;
    struct report_row row;
    /* A new layer has no steps: any row found from step 0 on is damage. */
    int64_t step = commit->layer_is_new ? 0 : (int64_t)commit->put->report->step;
    int found = find_report(commit->db, layer, step, &row, failure);
    int result = 0;

    if (found < 0)
        return -1;
    *outcome = COMMIT_NEW;
    if (found == 1) {
        result = compare(commit, &row, outcome, failure);
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

/* ---- 3. codes -------------------------------------------------------------- */

static bool is_newest(const struct commit *commit)
{
    return (int64_t)commit->put->report->step > commit->layer.step_max;
}

static bool comparable(const struct commit *commit)
{
    const struct layer_row *layer = &commit->layer;
    char shape[SHAPE_TEXT_BYTES];

    shape_text(commit->put->report, shape);
    return layer->upload != 0 && strcmp(layer->shape, shape) == 0 &&
           layer->group_size == commit->put->report->group_size &&
           layer->partial == (int64_t)commit->put->question.partial;
}

static int count_flips(struct commit *commit, const struct kernels *kernels,
                       const struct codes_layout *layout, struct failure *failure)
{
    struct trit_report *report = commit->put->report;
    const struct layer_row *layer = &commit->layer;
    uint64_t table[9] = {0}, flips = 0, all = 0;

    if (codes_transitions(commit->db, kernels, layer->upload, commit->codes->upload,
                          layout, table, failure))
        return fail_context(failure, "the codes kept of step %" PRId64, layer->step_max);
    for (int i = 0; i < 9; i++) {
        all += table[i];
        if (i / 3 != i % 3)
            flips += table[i];
    }
    memcpy(report->transitions, table, sizeof(table));
    report->has_previous = true;
    report->previous_step = (uint64_t)layer->step_max;
    report->flips = flips;
    report->flip_fraction = all ? (double)flips / (double)all : 0;
    return 0;
}

/* For the newest step: writes the rest of its codes and counts flips. This checks the
 * layer's old codes, which are deleted later. For an older step: deletes its codes. */
static int finish_codes(struct commit *commit, const struct kernels *kernels,
                        int64_t *next_upload, const struct codes_layout *layout,
                        struct failure *failure)
{
    struct codes *codes = commit->codes;

    if (!is_newest(commit))
        return codes_delete(commit->db, codes->upload, failure);
    if (codes_flush(codes, commit->db, next_upload, failure))
        return -1;
    if (codes->upload != 0 && comparable(commit))
        return count_flips(commit, kernels, layout, failure);
    if (codes_check(commit->db, commit->layer.upload, failure))
        return fail_context(failure, "the codes kept of step %" PRId64,
                            commit->layer.step_max);
    return 0;
}

/* ---- 4. rows --------------------------------------------------------------- */

static int insert_report(struct commit *commit, struct failure *failure)
{
    const struct trit_report *report = commit->put->report;
    uint8_t bytes[REPORT_BYTES_MAX];
    size_t count = encode_report(report, bytes, sizeof(bytes));
    const struct report_row row = {
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
    int bound = db_bind_text(link, 1, report->run) |
                db_bind_text(link, 2, report->layer) |
                db_bind_i64(link, 3, commit->next_step) |
                db_bind_i64(link, 4, (int64_t)report->step) |
                db_bind_i64(link, 5, commit->next_crc);

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
        shape_text(report, layer->shape);
        layer->group_size = report->group_size;
        layer->partial = (int64_t)commit->put->question.partial;
    }
    if (commit->layer_is_new || step < layer->step_min)
        layer->step_min = step;
    if (commit->layer_is_new || report->time_unix_ns > layer->time_unix_ns)
        layer->time_unix_ns = report->time_unix_ns;
    layer->reports++;
}

/* Makes the next layer name the new one as the one before it, and counts the new one. */
static int link_next_layer(struct commit *commit, struct failure *failure)
{
    struct layer_row *next = &commit->next_layer;

    commit->totals.layers++;
    if (next->key.run[0] == '\0') {
        commit->totals.last = commit->layer.key;
    } else {
        next->previous = commit->layer.key;
        if (layer_row_update(commit->db, next, failure))
            return -1;
    }
    return totals_put(commit->db, &commit->totals, failure);
}

static int write_rows(struct commit *commit, struct failure *failure)
{
    int64_t old = is_newest(commit) ? commit->layer.upload : 0;

    update_layer(commit);
    if (insert_report(commit, failure) ||
        (commit->has_next && link_next_report(commit, failure)))
        return -1;
    if (commit->layer_is_new)
        return layer_row_insert(commit->db, &commit->layer, failure) ||
                       link_next_layer(commit, failure)
                   ? -1
                   : 0;
    if (layer_row_update(commit->db, &commit->layer, failure))
        return -1;
    return codes_delete(commit->db, old, failure);
}

/* ---- the commit ------------------------------------------------------------- */

/* The codes must be complete or absent; anything else is an error of the caller. */
static int check_codes(struct store_put *put, const struct codes *codes,
                       struct codes_layout *layout)
{
    char title[REPORT_TITLE_BYTES];

    report_title(put->report, title);
    if (codes_layout_init(layout, put->report))
        return fail(&put->failure, TRIT_INTERNAL, NULL,
                    "%s: its shape or group size is not valid", title);
    if (codes->bytes != 0 && codes->bytes != layout->bytes)
        return fail(&put->failure, TRIT_INTERNAL, NULL,
                    "%s: %" PRIu64 " bytes of codes, but its shape needs %" PRIu64, title,
                    codes->bytes, layout->bytes);
    return 0;
}

static void forget_flips(struct trit_report *report)
{
    report->has_previous = false;
    report->previous_step = report->flips = 0;
    report->flip_fraction = 0;
    memset(report->transitions, 0, sizeof(report->transitions));
}

int commit_report(struct db *db, const struct kernels *kernels, int64_t *next_upload,
                  struct store_put *put, struct codes *codes,
                  enum commit_outcome *outcome, struct failure *failure)
{
    struct commit commit = {.db = db, .put = put, .codes = codes};
    struct codes_layout layout;

    question_encode(&put->question, commit.question);
    if (look_up_layer(&commit, failure) || look_up_report(&commit, outcome, failure))
        return -1;
    if (*outcome == COMMIT_NEW && check_codes(put, codes, &layout))
        *outcome = COMMIT_REFUSED;
    if (*outcome != COMMIT_NEW)
        return codes_delete(db, codes->upload, failure);
    forget_flips(put->report);
    if (finish_codes(&commit, kernels, next_upload, &layout, failure))
        return -1;
    return write_rows(&commit, failure);
}
