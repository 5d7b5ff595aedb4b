/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the tables, each under a CRC-32C over its key and its content. Rows
 * are read through this page alone: what it gives is what was written.
 *
 * The CRCs tell of a damaged row. For a row that cannot be found any more, each
 * report names the step before it in its layer, each layer's row names the layer
 * before it in order of (run, layer), and `totals` names the last one: what lies
 * between two neighbours is proved to be empty, at the price of one look-up. */
#ifndef STORE_ROW_H
#define STORE_ROW_H

#include "base/status.h"
#include "store/columns.h"
#include "store/db.h"

enum {
    STEP_NONE = -1, /* before a layer's first step */
    SHAPE_TEXT_BYTES = TRIT_RANK_MAX * 21 + sizeof(" flat"),
};

/* Empty strings: none. A byte more than names have: one that was cut to fit is still
 * longer than all that are stored, and equals none. */
struct layer_key {
    char run[TRIT_NAME_BYTES_MAX + 2];
    char layer[TRIT_NAME_BYTES_MAX + 2];
};

/* As strcmp, in the tables' order. */
int layer_key_compare(const struct layer_key *a, const struct layer_key *b);
void layer_key_set(struct layer_key *key, const char *run, const char *layer);

struct layer_row {
    struct layer_key key;
    int64_t step_min, step_max, reports; /* reports: how many the layer has */
    int64_t time_unix_ns;                /* of the newest report */
    int64_t upload;                      /* whose codes are kept; 0 = none */
    char shape[SHAPE_TEXT_BYTES];        /* of step_max, as the next two */
    int64_t group_size, partial;
    struct layer_key previous; /* the layer before this one */
};

/* Blobs are borrowed from `select` until it moves on. */
struct report_row {
    sqlite3_stmt *select;        /* stands on the row */
    const struct layer_key *key; /* borrowed too */
    int64_t step, previous;      /* previous: the step before, or STEP_NONE */
    int64_t time_unix_ns;
    const uint8_t *digest, *question, *report; /* question NULL: not known */
    size_t digest_bytes, question_bytes, report_bytes;
};

struct totals_row {
    int64_t layers;
    struct layer_key last; /* in order of (run, layer) */
    uint32_t schema_crc;   /* of the tables' definitions */
};

uint32_t layer_row_crc(const struct layer_row *row);
uint32_t report_row_crc(const struct report_row *row);
uint32_t codes_row_crc(int64_t upload, int64_t chunk, const void *bytes, size_t count);

/* The row that `select` stands on, of statements that give LAYER_COLUMNS and
 * REPORT_COLUMNS. -1: DATA_LOSS (it is damaged), UNAVAILABLE (no memory). A report
 * must be of that run and layer. */
int layer_row_read(struct db *db, sqlite3_stmt *select, struct layer_row *row,
                   struct failure *failure);
int report_row_read(struct db *db, sqlite3_stmt *select, const struct layer_key *key,
                    struct report_row *row, struct failure *failure);

/* Decodes the report of a row. */
int report_row_decode(const struct report_row *row, struct trit_report *report,
                      struct failure *failure);

int layer_row_insert(struct db *db, const struct layer_row *row, struct failure *failure);
/* In place of the row of that key, which is there. */
int layer_row_update(struct db *db, const struct layer_row *row, struct failure *failure);
int report_row_insert(struct db *db, const struct report_row *row,
                      struct failure *failure);

/* There is exactly one. */
int totals_read(struct db *db, struct totals_row *totals, struct failure *failure);
int totals_put(struct db *db, const struct totals_row *totals, struct failure *failure);

#endif
