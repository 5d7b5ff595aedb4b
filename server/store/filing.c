/* A report is filed:
 *   1. is one there under the same key? Same digest: give that one back.
 *      Another digest: refuse. Either way the new codes go.
 *   2. read the layer's row: its newest step and whose codes are kept.
 *   3. newest step so far? Write the rest of its codes and, if the newest step
 *      before has codes of the same layout, count what flipped.
 *      An older step: its codes go.
 *   4. insert the report; put the layer's row; remove the codes it had.
 * Statements run inside one transaction, so a later report of the same batch
 * sees all of it. */
#include "store/filing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "store/statements.h"

enum { SHAPE_TEXT_BYTES = TRIT_RANK_MAX * 21 + sizeof(" flat") };

struct layer_row {
    bool there;
    uint64_t step_min, step_max, reports;
    int64_t time_unix_ns;
    int64_t upload; /* 0 = no codes kept */
    char shape[SHAPE_TEXT_BYTES];
    int64_t group_size, partial;
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

/* ---- 1. the same key ------------------------------------------------------- */

enum { DIGEST_SHOWN_BYTES = 6 };

static void digest_text(const uint8_t *digest, char text[2 * DIGEST_SHOWN_BYTES + 1])
{
    for (size_t i = 0; i < DIGEST_SHOWN_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static int conflict(struct store_put *put, const uint8_t *stored)
{
    char title[REPORT_TITLE_BYTES];
    char there[2 * DIGEST_SHOWN_BYTES + 1], given[2 * DIGEST_SHOWN_BYTES + 1];

    report_title(&put->report, title);
    digest_text(stored, there);
    digest_text(put->report.digest, given);
    fail(&put->failure, TRIT_ALREADY_EXISTS, "layer.step",
         "%s: exists with digest %s; this one has %s", title, there, given);
    return FILING_REFUSED;
}

/* Judges the stored row, which `select` stands on, against the put. */
static int compare(struct store_put *put, sqlite3_stmt *select, enum filing *filing,
                   struct failure *failure)
{
    const uint8_t *digest = sqlite3_column_blob(select, 0);
    int digest_bytes = sqlite3_column_bytes(select, 0);
    const uint8_t *bytes = sqlite3_column_blob(select, 1);
    size_t count = (size_t)sqlite3_column_bytes(select, 1);
    char error[CODEC_ERROR_BYTES];

    if (digest == NULL || digest_bytes != TRIT_DIGEST_BYTES || bytes == NULL)
        return fail(failure, TRIT_DATA_LOSS, NULL, "the stored row is damaged");
    if (memcmp(digest, put->report.digest, TRIT_DIGEST_BYTES) != 0) {
        conflict(put, digest);
        *filing = FILING_REFUSED;
        return 0;
    }
    if (decode_report(bytes, count, &put->report, error))
        return fail(failure, TRIT_DATA_LOSS, NULL, "the stored report is damaged: %s",
                    error);
    *filing = FILING_EXISTED;
    return 0;
}

/* FILING_NEW where the key is free. */
static int look_up(struct db *db, struct store_put *put, enum filing *filing,
                   struct failure *failure)
{
    const struct trit_report *report = &put->report;
    sqlite3_stmt *select = statement(db, ST_REPORT_SELECT, failure);
    int outcome, bound;

    if (select == NULL)
        return -1;
    bound = db_bind_text(select, 1, report->run) |
            db_bind_text(select, 2, report->layer) | db_bind_u64(select, 3, report->step);
    outcome = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);
    *filing = FILING_NEW;
    if (outcome == 1)
        outcome = compare(put, select, filing, failure);
    db_reset(select);
    return outcome;
}

/* ---- 2. the layer ---------------------------------------------------------- */

static int read_layer(struct db *db, const struct trit_report *report,
                      struct layer_row *layer, struct failure *failure)
{
    sqlite3_stmt *select = statement(db, ST_LAYER_SELECT, failure);
    int row, bound;

    *layer = (struct layer_row){0};
    if (select == NULL)
        return -1;
    bound = db_bind_text(select, 1, report->run) | db_bind_text(select, 2, report->layer);
    row = bound ? db_fail(db, bound, failure) : db_step(db, select, failure);
    if (row == 1) {
        const unsigned char *shape = sqlite3_column_text(select, 5);

        layer->there = true;
        layer->step_min = (uint64_t)sqlite3_column_int64(select, 0);
        layer->step_max = (uint64_t)sqlite3_column_int64(select, 1);
        layer->reports = (uint64_t)sqlite3_column_int64(select, 2);
        layer->time_unix_ns = sqlite3_column_int64(select, 3);
        layer->upload = sqlite3_column_int64(select, 4); /* NULL reads as 0 */
        snprintf(layer->shape, sizeof(layer->shape), "%s",
                 shape ? (const char *)shape : "");
        layer->group_size = sqlite3_column_int64(select, 6);
        layer->partial = sqlite3_column_int64(select, 7);
    }
    db_reset(select);
    return row < 0 ? -1 : 0;
}

/* ---- 3. codes -------------------------------------------------------------- */

static bool comparable(const struct layer_row *layer, const struct trit_report *report,
                       enum trit_partial_group partial)
{
    char shape[SHAPE_TEXT_BYTES];

    shape_text(report, shape);
    return layer->upload != 0 && strcmp(layer->shape, shape) == 0 &&
           layer->group_size == report->group_size && layer->partial == (int64_t)partial;
}

static int count_flips(struct db *db, const struct kernels *kernels,
                       const struct layer_row *layer, const struct codes *codes,
                       const struct codes_layout *layout, struct trit_report *report,
                       struct failure *failure)
{
    uint64_t table[9] = {0}, flips = 0, all = 0;

    if (codes_transitions(db, kernels, layer->upload, codes->upload, layout, table,
                          failure))
        return -1;
    for (int i = 0; i < 9; i++) {
        all += table[i];
        if (i / 3 != i % 3)
            flips += table[i];
    }
    memcpy(report->transitions, table, sizeof(table));
    report->has_previous = true;
    report->previous_step = layer->step_max;
    report->flips = flips;
    report->flip_fraction = all ? (double)flips / (double)all : 0;
    return 0;
}

/* Of the newest step: writes the rest, counts. Of others: removes. */
static int settle_codes(struct db *db, const struct kernels *kernels,
                        int64_t *next_upload, const struct layer_row *layer,
                        struct codes *codes, const struct codes_layout *layout,
                        enum trit_partial_group partial, struct trit_report *report,
                        struct failure *failure)
{
    if (layer->there && report->step < layer->step_max)
        return codes_delete(db, codes->upload, failure);
    if (codes_flush(codes, db, next_upload, failure))
        return -1;
    if (codes->upload == 0 || !comparable(layer, report, partial))
        return 0;
    return count_flips(db, kernels, layer, codes, layout, report, failure);
}

/* ---- 4. rows --------------------------------------------------------------- */

static int insert_report(struct db *db, const struct trit_report *report,
                         struct failure *failure)
{
    uint8_t bytes[REPORT_BYTES_MAX];
    size_t count = encode_report(report, bytes, sizeof(bytes));
    sqlite3_stmt *insert = statement(db, ST_REPORT_INSERT, failure);
    int bound;

    if (count == 0)
        return fail(failure, TRIT_INTERNAL, NULL, "the report does not encode");
    if (insert == NULL)
        return -1;
    bound = db_bind_text(insert, 1, report->run) |
            db_bind_text(insert, 2, report->layer) |
            db_bind_u64(insert, 3, report->step) |
            db_bind_i64(insert, 4, report->time_unix_ns) |
            db_bind_blob(insert, 5, report->digest, TRIT_DIGEST_BYTES) |
            db_bind_blob(insert, 6, bytes, count);
    if (bound) {
        db_reset(insert);
        return db_fail(db, bound, failure);
    }
    return db_run(db, insert, failure);
}

/* The layer's row as it is with this report. */
static void advance(struct layer_row *layer, const struct trit_report *report,
                    enum trit_partial_group partial, const struct codes *codes)
{
    bool newest = !layer->there || report->step > layer->step_max;

    if (newest) {
        layer->step_max = report->step;
        layer->upload = codes->upload;
        shape_text(report, layer->shape);
        layer->group_size = report->group_size;
        layer->partial = (int64_t)partial;
    }
    if (!layer->there || report->step < layer->step_min)
        layer->step_min = report->step;
    if (!layer->there || report->time_unix_ns > layer->time_unix_ns)
        layer->time_unix_ns = report->time_unix_ns;
    layer->reports++;
    layer->there = true;
}

static int put_layer(struct db *db, const struct trit_report *report,
                     const struct layer_row *layer, struct failure *failure)
{
    sqlite3_stmt *upsert = statement(db, ST_LAYER_UPSERT, failure);
    int bound;

    if (upsert == NULL)
        return -1;
    bound =
        db_bind_text(upsert, 1, report->run) | db_bind_text(upsert, 2, report->layer) |
        db_bind_u64(upsert, 3, layer->step_min) |
        db_bind_u64(upsert, 4, layer->step_max) | db_bind_u64(upsert, 5, layer->reports) |
        db_bind_i64(upsert, 6, layer->time_unix_ns) |
        db_bind_text(upsert, 8, layer->shape) |
        db_bind_i64(upsert, 9, layer->group_size) |
        db_bind_i64(upsert, 10, layer->partial);
    if (layer->upload)
        bound |= db_bind_i64(upsert, 7, layer->upload);
    if (bound) {
        db_reset(upsert);
        return db_fail(db, bound, failure);
    }
    return db_run(db, upsert, failure);
}

/* ---- the whole ------------------------------------------------------------- */

/* Codes are all there, or none are. Else somebody upstairs is wrong. */
static int check_codes(struct store_put *put, const struct codes *codes,
                       struct codes_layout *layout)
{
    char title[REPORT_TITLE_BYTES];

    report_title(&put->report, title);
    if (codes_layout_init(layout, &put->report))
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
                  struct store_put *put, struct codes *codes,
                  enum trit_partial_group partial, enum filing *filing,
                  struct failure *failure)
{
    struct codes_layout layout;
    struct layer_row layer;
    int64_t old;

    if (look_up(db, put, filing, failure))
        return -1;
    if (*filing == FILING_NEW && check_codes(put, codes, &layout))
        *filing = FILING_REFUSED;
    if (*filing != FILING_NEW)
        return codes_delete(db, codes->upload, failure);
    forget_flips(&put->report);
    if (read_layer(db, &put->report, &layer, failure))
        return -1;
    old = layer.there && put->report.step > layer.step_max ? layer.upload : 0;
    if (settle_codes(db, kernels, next_upload, &layer, codes, &layout, partial,
                     &put->report, failure))
        return -1;
    advance(&layer, &put->report, partial, codes);
    if (insert_report(db, &put->report, failure) ||
        put_layer(db, &put->report, &layer, failure) || codes_delete(db, old, failure))
        return -1;
    return 0;
}
