/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the tables. Each has a CRC-32C over its key and its content. Rows are read
 * only through these functions, which check the CRC.
 *
 * A CRC finds a damaged row, but not a missing one. So each report names the step before
 * it in its layer, each layer's row names the layer before it in the order of keys, and
 * `totals` names the last layer. One look-up then proves that there is
 * nothing between two neighbours. */
#ifndef STORE_ROW_H
#define STORE_ROW_H

#include "base/status.h"
#include "store/columns.h"
#include "store/db.h"

enum {
    STEP_NONE = -1, /* before a layer's first step */
    SHAPE_TEXT_BYTES = TRIT_RANK_MAX * 21 + sizeof(" flat"),
};

/* The reports of one layer, replica and attempt have one row in the table of layers. All
 * zero: no layer. The arrays have space for one byte more than the longest name: a longer
 * name, cut to fit, is then still longer than any stored name and equals none. */
struct layer_key {
    char run[TRIT_NAME_BYTES_MAX + 2];
    char layer[TRIT_NAME_BYTES_MAX + 2];
    int64_t replica, attempt;
};

/* Like strcmp, in the order of the tables: run, layer, replica, attempt. */
int layer_key_compare(const struct layer_key *a, const struct layer_key *b);
/* A name that sorts behind all others: no UTF-8 text has this byte. */
#define NAME_BEHIND_ALL "\xff"
/* Sets the names, with replica 0 and attempt 1. */
void layer_key_set(struct layer_key *key, const char *run, const char *layer);
uint32_t layer_key_hash(const struct layer_key *key);
/* ", replica 3, attempt 2" without what is 0 and 1, for messages. */
enum { KEY_TEXT_BYTES = 64 };
const char *key_text(const struct layer_key *key, char text[KEY_TEXT_BYTES]);
/* Whether both are of one run, layer and replica. */
bool layer_key_same_replica(const struct layer_key *a, const struct layer_key *b);

struct layer_row {
    struct layer_key key;
    int64_t step_min, step_max, reports; /* reports: their number */
    int64_t time_unix_ns;                /* of the newest report */
    int64_t upload;                      /* of the codes of step_max; 0: none are kept */
    char shape[SHAPE_TEXT_BYTES];        /* of step_max, as are the next two */
    int64_t group_size, partial;
    struct layer_key previous; /* the layer before this one */
    bool is_cached;            /* it comes from the writer's cache */
};

/* The blobs are borrowed from `select` until its next step. */
struct report_row {
    sqlite3_stmt *select;        /* at this row */
    int64_t sequence;            /* in order of filing; the row's number in the table */
    const struct layer_key *key; /* borrowed */
    int64_t step, previous;      /* previous: the step before, or STEP_NONE */
    int64_t time_unix_ns;
    const uint8_t *digest, *question, *report; /* question NULL: none is stored */
    size_t digest_bytes, question_bytes, report_bytes;
};

struct totals_row {
    int64_t layers;
    struct layer_key last; /* in the order of keys */
    int64_t sequence;      /* no report that was deleted had a greater one */
    uint32_t schema_crc;   /* of the tables' definitions */
};

/* What is kept of a report: kept.h. */
struct kept_row {
    int64_t sequence; /* of the report */
    int64_t upload;   /* its codes */
    int64_t scales;   /* the upload of its f32 scales; 0: none were kept */
    int64_t bytes;    /* of both */
};

/* A shard of a layer that waits for others, or, with part 0, the list of them: waiting.h.
 * The blobs are borrowed. */
struct shard_row {
    const struct layer_key *key;
    int64_t step;
    int64_t part;   /* 0: the list; else from 1 */
    int64_t number; /* part 0: how many shards; else bytes of its uploads */
    int64_t upload,
        groups;           /* uploads of its codes, and of what its groups leave behind */
    int64_t time_unix_ns; /* part 0: of the newest */
    const uint8_t *data;  /* part 0: the list; else the state of the shard */
    size_t data_bytes;
};

/* The CRC of numbers: the kind of a row, then those that its CRC begins with. */
uint32_t row_crc_numbers(const int64_t *numbers, size_t count);

uint32_t layer_row_crc(const struct layer_row *row);
uint32_t shard_row_crc(const struct shard_row *row);
uint32_t joined_row_crc(int64_t sequence, const void *list, size_t bytes);
uint32_t report_row_crc(const struct report_row *row);
uint32_t codes_row_crc(int64_t upload, int64_t chunk, const void *bytes, size_t count);
uint32_t totals_row_crc(const struct totals_row *row);
uint32_t run_row_crc(const char *run, int64_t state, const void *attempts, size_t bytes);
uint32_t kept_row_crc(const struct kept_row *row);

/* Binds the four columns of a key, from `at` on. Returns a SQLite code. */
int bind_key(sqlite3_stmt *statement, int at, const struct layer_key *key);

/* Read the row that `select` is at. The statement gives LAYER_COLUMNS or REPORT_COLUMNS.
 * DATA_LOSS: the row is damaged, or a report is not of that run and layer. UNAVAILABLE:
 * no memory. */
int layer_row_read(struct db *db, sqlite3_stmt *select, struct layer_row *row,
                   struct failure *failure);
int report_row_read(struct db *db, sqlite3_stmt *select, const struct layer_key *key,
                    struct report_row *row, struct failure *failure);

/* The same without knowing the layer; sets *key. */
int report_row_read_any(struct db *db, sqlite3_stmt *select, struct layer_key *key,
                        struct report_row *row, struct failure *failure);

/* Decodes the report of a row. */
int report_row_decode(const struct report_row *row, struct trit_report *report,
                      struct failure *failure);

int layer_row_insert(struct db *db, const struct layer_row *row, struct failure *failure);
/* Replaces the row of that key, which exists. */
int layer_row_update(struct db *db, const struct layer_row *row, struct failure *failure);
int layer_row_delete(struct db *db, const struct layer_key *key, struct failure *failure);

/* The writer's cache of these rows. Find returns false if the row is not there. */
bool layer_cache_find(struct db *db, const struct layer_key *key, struct layer_row *row);
void layer_cache_put(struct db *db, const struct layer_row *row);
int report_row_insert(struct db *db, const struct report_row *row,
                      struct failure *failure);

/* The table has exactly one row. */
int totals_read(struct db *db, struct totals_row *totals, struct failure *failure);
int totals_put(struct db *db, const struct totals_row *totals, struct failure *failure);

#endif
