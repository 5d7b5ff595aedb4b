/* SPDX-License-Identifier: Apache-2.0 */
/* A report is filed:
 *   1. find the layer's row: its newest step, and whose codes are kept. Of a new
 *      layer, find its neighbours.
 *   2. is a report there under the same key? An equal one: `existed`. Another:
 *      refuse. Either way the new codes go.
 *   3. newest step so far? Write the rest of its codes and, if the newest step
 *      before has codes of the same layout, count what flipped.
 *      An older step: its codes go.
 *   4. insert the report, which names the step before it, and link the step after it
 *      to it; put the layer's row, and link likewise where it is new; remove the
 *      codes that the layer had.
 * All that is read is checked before rows are written, so that damage found by a
 * checksum leaves nothing to undo but codes that no layer refers to. Statements run
 * inside one transaction, so a later report of the same batch sees all of it. */
#include "store/filing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "store/question.h"
#include "store/statements.h"
#include "store/walk.h"

/* One commit, as far as it has come. */
struct filing_state {
    struct db *db;
    struct store_put *put;
    struct codes *codes;
    uint8_t question[QUESTION_BYTES];
    struct layer_row layer; /* as it is; of a new one, only its key and neighbours */
    bool layer_is_new;
    struct layer_row next_layer; /* of a new layer: the one after it, */
    struct totals_row totals;    /* and how many there were */
    int64_t previous;            /* the step before this report */
    bool has_next;               /* a later step is there, */
    int64_t next_step;
    uint32_t next_crc; /* whose row has this CRC once this report is before it */
};

void report_title(const struct trit_report *report, char title[REPORT_TITLE_BYTES])
{
    snprintf(title, REPORT_TITLE_BYTES,
             "report of run \"%s\", layer \"%s\", step %" PRIu64, report->run,
             report->layer, report->step);
}

/* Codes of the same text, group size and partial groups lie alike. */
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

static int look_up_layer(struct filing_state *state, struct failure *failure)
{
    struct layer_row row;
    struct layer_key key;

    layer_key_set(&key, state->put->report->run, state->put->report->layer);
    int found = find_layer(state->db, &key, &row, failure);

    if (found < 0)
        return -1;
    state->layer_is_new = found == 0;
    if (found == 1) {
        state->layer = row;
        return 0;
    }
    if (totals_read(state->db, &state->totals, failure))
        return -1;
    state->next_layer = row;
    state->layer = (struct layer_row){.key = key,
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
         "%s: exists with digest %s; this one has %s%s; file it under another step",
         title, there, given, difference);
}

/* What only the store knows of a report. */
static void take_history(struct trit_report *report, const struct trit_report *stored)
{
    report->time_unix_ns = stored->time_unix_ns;
    report->has_previous = stored->has_previous;
    report->previous_step = stored->previous_step;
    report->flips = stored->flips;
    report->flip_fraction = stored->flip_fraction;
    memcpy(report->transitions, stored->transitions, sizeof(report->transitions));
}

/* Judges the stored report against the put. */
static int compare(struct filing_state *state, const struct report_row *row,
                   enum filing *filing, struct failure *failure)
{
    struct store_put *put = state->put;
    struct trit_report report;
    char difference[DIFFERENCE_BYTES];

    if (report_row_decode(row, &report, failure))
        return -1;
    const struct answer stored = {&report, row->question, row->question_bytes};
    const struct answer given = {put->report, state->question, QUESTION_BYTES};

    if (same_answer(&stored, &given, difference)) {
        take_history(put->report, &report);
        *filing = FILING_EXISTED;
    } else {
        refuse(put, &report, difference);
        *filing = FILING_REFUSED;
    }
    return 0;
}

/* FILING_NEW where the key is free. */
static int look_up_report(struct filing_state *state, enum filing *filing,
                          struct failure *failure)
{
    const struct layer_row *layer = &state->layer;
    struct report_row row;
    /* Of a new layer any step at all would be damage. */
    int64_t step = state->layer_is_new ? 0 : (int64_t)state->put->report->step;
    int found = find_report(state->db, layer, step, &row, failure);
    int outcome = 0;

    if (found < 0)
        return -1;
    *filing = FILING_NEW;
    if (found == 1) {
        outcome = compare(state, &row, filing, failure);
    } else if (row.select) {
        state->has_next = true;
        state->next_step = row.step;
        state->previous = row.previous;
        row.previous = step;
        state->next_crc = report_row_crc(&row);
    } else {
        state->previous = layer->step_max;
    }
    report_row_release(&row);
    return outcome;
}

/* ---- 3. codes -------------------------------------------------------------- */

static bool is_newest(const struct filing_state *state)
{
    return (int64_t)state->put->report->step > state->layer.step_max;
}

static bool comparable(const struct filing_state *state)
{
    const struct layer_row *layer = &state->layer;
    char shape[SHAPE_TEXT_BYTES];

    shape_text(state->put->report, shape);
    return layer->upload != 0 && strcmp(layer->shape, shape) == 0 &&
           layer->group_size == state->put->report->group_size &&
           layer->partial == (int64_t)state->put->question.partial;
}

static int count_flips(struct filing_state *state, const struct kernels *kernels,
                       const struct codes_layout *layout, struct failure *failure)
{
    struct trit_report *report = state->put->report;
    const struct layer_row *layer = &state->layer;
    uint64_t table[9] = {0}, flips = 0, all = 0;

    if (codes_transitions(state->db, kernels, layer->upload, state->codes->upload, layout,
                          table, failure))
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

/* Of the newest step: writes the rest, counts; the layer's old codes, which are to be
 * removed, have been checked then. Of others: removes. */
static int settle_codes(struct filing_state *state, const struct kernels *kernels,
                        int64_t *next_upload, const struct codes_layout *layout,
                        struct failure *failure)
{
    struct codes *codes = state->codes;

    if (!is_newest(state))
        return codes_delete(state->db, codes->upload, failure);
    if (codes_flush(codes, state->db, next_upload, failure))
        return -1;
    if (codes->upload != 0 && comparable(state))
        return count_flips(state, kernels, layout, failure);
    if (codes_check(state->db, state->layer.upload, failure))
        return fail_context(failure, "the codes kept of step %" PRId64,
                            state->layer.step_max);
    return 0;
}

/* ---- 4. rows --------------------------------------------------------------- */

static int insert_report(struct filing_state *state, struct failure *failure)
{
    const struct trit_report *report = state->put->report;
    uint8_t bytes[REPORT_BYTES_MAX];
    size_t count = encode_report(report, bytes, sizeof(bytes));
    const struct report_row row = {
        .key = &state->layer.key,
        .step = (int64_t)report->step,
        .previous = state->previous,
        .time_unix_ns = report->time_unix_ns,
        .digest = report->digest,
        .digest_bytes = TRIT_DIGEST_BYTES,
        .question = state->question,
        .question_bytes = QUESTION_BYTES,
        .report = bytes,
        .report_bytes = count,
    };

    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the report does not encode");
    return report_row_insert(state->db, &row, failure);
}

/* The later step names this report as the one before it. */
static int link_next_report(struct filing_state *state, struct failure *failure)
{
    const struct trit_report *report = state->put->report;
    sqlite3_stmt *link = statement(state->db, ST_REPORT_LINK, failure);

    if (!link)
        return -1;
    int bound = db_bind_text(link, 1, report->run) |
                db_bind_text(link, 2, report->layer) |
                db_bind_i64(link, 3, state->next_step) |
                db_bind_i64(link, 4, (int64_t)report->step) |
                db_bind_i64(link, 5, state->next_crc);

    return db_run_bound(state->db, link, bound, failure);
}

/* The layer's row as it is with this report. */
static void advance(struct filing_state *state)
{
    const struct trit_report *report = state->put->report;
    struct layer_row *layer = &state->layer;
    int64_t step = (int64_t)report->step;

    if (is_newest(state)) {
        layer->step_max = step;
        layer->upload = state->codes->upload;
        shape_text(report, layer->shape);
        layer->group_size = report->group_size;
        layer->partial = (int64_t)state->put->question.partial;
    }
    if (state->layer_is_new || step < layer->step_min)
        layer->step_min = step;
    if (state->layer_is_new || report->time_unix_ns > layer->time_unix_ns)
        layer->time_unix_ns = report->time_unix_ns;
    layer->reports++;
}

/* The layer after it names the new one as the one before; there is one more. */
static int link_next_layer(struct filing_state *state, struct failure *failure)
{
    struct layer_row *next = &state->next_layer;

    state->totals.layers++;
    if (next->key.run[0] == '\0') {
        state->totals.last = state->layer.key;
    } else {
        next->previous = state->layer.key;
        if (layer_row_update(state->db, next, failure))
            return -1;
    }
    return totals_put(state->db, &state->totals, failure);
}

static int write_rows(struct filing_state *state, struct failure *failure)
{
    int64_t old = is_newest(state) ? state->layer.upload : 0;

    advance(state);
    if (insert_report(state, failure) ||
        (state->has_next && link_next_report(state, failure)))
        return -1;
    if (state->layer_is_new)
        return layer_row_insert(state->db, &state->layer, failure) ||
                       link_next_layer(state, failure)
                   ? -1
                   : 0;
    if (layer_row_update(state->db, &state->layer, failure))
        return -1;
    return codes_delete(state->db, old, failure);
}

/* ---- the whole ------------------------------------------------------------- */

/* Codes are all there, or none are. Else somebody upstairs is wrong. */
static int check_codes(struct store_put *put, const struct codes *codes,
                       struct codes_layout *layout)
{
    char title[REPORT_TITLE_BYTES];

    report_title(put->report, title);
    if (codes_layout_init(layout, put->report))
        return fail(&put->failure, TRIT_INTERNAL, NULL, "%s: no shape", title);
    if (codes->bytes != 0 && codes->bytes != layout->bytes)
        return fail(&put->failure, TRIT_INTERNAL, NULL,
                    "%s: %" PRIu64 " bytes of codes, its shape has %" PRIu64, title,
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

int filing_commit(struct db *db, const struct kernels *kernels, int64_t *next_upload,
                  struct store_put *put, struct codes *codes, enum filing *filing,
                  struct failure *failure)
{
    struct filing_state state = {.db = db, .put = put, .codes = codes};
    struct codes_layout layout;

    question_encode(&put->question, state.question);
    if (look_up_layer(&state, failure) || look_up_report(&state, filing, failure))
        return -1;
    if (*filing == FILING_NEW && check_codes(put, codes, &layout))
        *filing = FILING_REFUSED;
    if (*filing != FILING_NEW)
        return codes_delete(db, codes->upload, failure);
    forget_flips(put->report);
    if (settle_codes(&state, kernels, next_upload, &layout, failure))
        return -1;
    return write_rows(&state, failure);
}
