/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a layer (of one replica and attempt) beside its reports: the past by
 * which its health is judged, and summaries of its reports for the history.
 *
 * `pasts` has one row for each row of `layers`: the past, and the cells of the newest
 * reports, at most HISTORY_BLOCK. Then the next one makes them a row of `history` at level
 * 0. Every four of them become a cell of level 1, whose row is written again until
 * it has HISTORY_BLOCK cells; every four of those become a cell of level 2, and so on. So a
 * report costs one row, and one and a third written again in 16 reports; and a reader
 * finds cells of 1, 4, 16, 64... reports.
 *
 * A row of `history` names the last step of the row before it at its level, and the past
 * the last step of each level. So a missing row is noticed.
 *
 * A report of an older step is merged into the cells that exist.
 *
 * A row of `pasts` is large, so it is not written for each report. The row on disk may lack
 * the newest reports, fewer than PAST_LAG; who reads it adds them (past_read). The writer
 * has the whole row in its cache. */
#ifndef STORE_PAST_H
#define STORE_PAST_H

#include "health/health.h"
#include "store/cells.h"
#include "store/row.h"

enum {
    HISTORY_LEVELS = 14,
    PAST_LAG = 8, /* a divisor of HISTORY_BLOCK */
};

struct past_row {
    struct layer_key key;
    int64_t step;                   /* the newest, or STEP_NONE */
    enum trit_health health;        /* of the report of that step */
    int64_t closed[HISTORY_LEVELS]; /* last step in rows of the level, or STEP_NONE */
    uint8_t filled[HISTORY_LEVELS]; /* cells in the level's last row; not of level 0 */
    struct health_past past;
    uint8_t open_count; /* cells above closed[0], in order of steps: */
    struct cell open[HISTORY_BLOCK];
    /* not on disk: */
    int64_t written; /* the newest step that the row on disk knows, or STEP_NONE */
    int64_t
        damaged; /* the newest step found to be damaged since it was read, or STEP_NONE */
    bool is_cached; /* it comes from the writer's cache */
};

/* A row without reports. */
void past_row_init(struct past_row *row, const struct layer_key *key);

/* Reads the row of a layer that exists, as it was written: use past_read (rebuild.h). A
 * missing row is DATA_LOSS. */
int past_row_read(struct db *db, const struct layer_key *key, struct past_row *row,
                  struct failure *failure);
/* Writes the row, new or not. */
int past_row_put(struct db *db, struct past_row *row, struct failure *failure);

/* Whether the row has to be written after a report was added that is the newest. If not,
 * past_row_keep is enough. */
bool past_row_is_due(const struct past_row *row);
/* Keeps the row in the writer's cache only. */
void past_row_keep(struct db *db, const struct past_row *row);

/* Before the writer's connection closes: writes the rows of its cache that lack reports on
 * disk, and ends the open transaction. If it fails, they go on lacking them. */
void past_write_late(struct db *db);

/* Deletes what is kept of a layer. */
int past_delete(struct db *db, const struct layer_key *key, struct failure *failure);

/* Creates the tables. */
extern const char past_sql[];

#endif
