/* SPDX-License-Identifier: Apache-2.0 */
/* All SQL on the tables: one entry per statement, prepared once per connection. */
#ifndef STORE_STATEMENTS_H
#define STORE_STATEMENTS_H

#include "store/db.h"

enum statement_id {
    ST_BEGIN, /* the writer's transaction */
    ST_COMMIT,
    ST_ROLLBACK,
    ST_DATA_VERSION,      /* -> a number that changes when another connection commits */
    ST_BEGIN_READ,        /* a reader's transaction: all it reads is one state */
    ST_REPORTS_FROM,      /* key, step -> REPORT_COLUMNS, this step and later ones */
    ST_REPORTS_DOWN,      /* the same, this step and earlier ones */
    ST_REPORTS_COUNT,     /* key -> how many */
    ST_REPORT_KEY_FROM,   /* -> the keys that reports have, each once, in order */
    ST_REPORT_KEY_BEFORE, /* key -> the keys of reports before it, backwards */
    ST_REPORTS_OF,        /* run, layer or '' -> sequence */
    ST_REPORTS_SINCE,     /* sequence -> REPORT_COLUMNS, in order of sequence, above it */
    ST_SEQUENCE,      /* -> the greatest that a report has, or that a deleted one had */
    ST_REPORT_INSERT, /* REPORT_COLUMNS */
    ST_REPORT_LINK,   /* key, step, previous, crc */
    ST_REPORT_DELETE, /* sequence */
    ST_LAYERS_FROM,   /* key -> LAYER_COLUMNS, this layer and later ones */
    ST_LAYER_AT,      /* the same, for one layer while others are visited */
    ST_LAYERS_DOWN,   /* the same, this layer and earlier ones */
    ST_LAYER_INSERT,  /* LAYER_COLUMNS */
    ST_LAYER_UPDATE,  /* the same */
    ST_LAYER_DELETE,  /* key */
    ST_RUN_SELECT,    /* run -> RUN_COLUMNS */
    ST_RUNS_FORMING,  /* -> run */
    ST_RUN_PUT,       /* RUN_COLUMNS; replaces the row of that run */
    ST_RUN_DELETE,    /* run */
    ST_TOTALS_SELECT,
    ST_TOTALS_PUT,
    ST_CODES_INSERT,     /* upload, chunk, data, crc, slot */
    ST_CODES_DELETE,     /* upload */
    ST_CODES_SELECT_OLD, /* upload, chunk -> CODES_COLUMNS of this chunk and later
                            ones; two, as both are open together */
    ST_CODES_SELECT_NEW,
    ST_CODES_BYTES, /* two uploads -> bytes of both; twice the same one counts once. Of a
                       store that has no slots yet */
    ST_CODES_SLOTS, /* upload -> CODES_COLUMNS, upload of the rows that have a slot */
    ST_CODES_ALL_SLOTS, /* -> the same, of all uploads */
    ST_KEPT_INSERT,     /* sequence, upload, scales, bytes, crc */
    ST_KEPT_DELETE,     /* sequence */
    ST_KEPT_USES,       /* upload -> a row, if a report has it as codes or scales */
    ST_KEPT_SELECT,     /* sequence -> the same */
    ST_KEPT_FROM,       /* upload -> KEPT_COLUMNS, this upload and later ones */
    ST_KEPT_BYTES,      /* -> of all uploads that are kept */
    ST_REPORT_AT,       /* sequence -> REPORT_COLUMNS */
    ST_PAGES,           /* -> of the file */
    ST_FREE_PAGES,
    ST_PAGE_BYTES,
    ST_VACUUM_MODE, /* -> 2: incremental */
    ST_TIME_OLDEST, /* -> time_unix_ns of the report that was filed first */
    ST_TIME_NEWEST,
    ST_PAST_SELECT,    /* key -> state, crc */
    ST_PAST_PUT,       /* key, state, crc; replaces the row of that key */
    ST_PAST_DELETE,    /* key */
    ST_HISTORY_FROM,   /* key, level, step -> last, previous, cells, crc in order of last,
                          which is not below the step */
    ST_HISTORY_INSERT, /* key, level, last, previous, cells, crc */
    ST_HISTORY_UPDATE, /* the same, and the last that it had */
    ST_HISTORY_DELETE, /* key */
    ST_HISTORY_TRIM,   /* key, level, step: rows whose last is below the step; the newest
                          of the level stays, as more is added to it */
    ST_SHARD_LIST,     /* key, step -> SHARD_COLUMNS of part 0 */
    ST_SHARD_LISTS, /* run, layer, step, replica, attempt -> the same of what comes behind,
                          in this order */
    ST_SHARD_NEWEST, /* run, layer, replica, least and greatest attempt, least and greatest
                          step -> the same, of the newest step and then attempt */
    ST_SHARD_PARTS,  /* key, step -> SHARD_COLUMNS of its shards, in order */
    ST_SHARD_PUT,    /* SHARD_COLUMNS; replaces the row of that key */
    ST_SHARDS_DELETE,    /* key, step */
    ST_SHARDS_DELETE_OF, /* run, layer or '', first step, last step */
    ST_SHARDS_SUM,       /* -> number of lists, bytes of shards */
    ST_CODES_PIECE, /* upload, chunk, first byte from 1, bytes -> piece, bytes of the row,
                       slot */
    ST_JOINED_PUT,  /* sequence, list, crc */
    ST_JOINED_SELECT, /* sequence -> list, crc */
    ST_JOINED_DELETE, /* sequence */
    ST_CODES_ORPHAN,  /* upload -> the next one that no layer refers to */
    STATEMENT_COUNT
};
_Static_assert((int)STATEMENT_COUNT <= (int)DB_STATEMENTS_MAX,
               "a slot for each statement");

/* Prepares it at its first use. The caller resets it (db_reset). NULL on failure. */
sqlite3_stmt *statement(struct db *db, enum statement_id id, struct failure *failure);

/* Runs a statement that has no parameters and gives no rows. */
int statement_run(struct db *db, enum statement_id id, struct failure *failure);

/* The number that a statement without parameters gives; 0 where it gives none or fails. */
int64_t statement_number(struct db *db, enum statement_id id);

#endif
