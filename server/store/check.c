/* SPDX-License-Identifier: Apache-2.0 */
/* Reads everything and goes on after damage, so that one run names all of it. The walks of
 * walk.h stop at the first fault; here each row is checked on its own, and against the row
 * before it where that one is intact. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/codes.h"
#include "store/directory.h"
#include "store/joined.h"
#include "store/kept.h"
#include "store/newest.h"
#include "store/place.h"
#include "store/rebuild.h"
#include "store/run.h"
#include "store/schema.h"
#include "store/slots.h"
#include "store/statements.h"
#include "store/store.h"
#include "store/waiting.h"
#include "store/walk.h"

enum { HEADER_WRITE_VERSION = 18 }; /* its place in an SQLite file */

struct check {
    struct db db;
    void (*damaged)(void *arg, const char *message);
    void *arg;
    struct store_counts *counts;
};

static void tell(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(struct check *check, const char *format, ...)
{
    char message[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    check->counts->damaged++;
    check->damaged(check->arg, message);
}

/* ---- SQLite's own structure ---- */

static void check_structure(struct check *check)
{
    struct failure failure = {0};
    sqlite3_stmt *select = NULL;
    int result = sqlite3_prepare_v2(check->db.sqlite, "PRAGMA integrity_check(100)", -1,
                                    &select, NULL);

    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(select);
        if (result == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(select, 0);

            if (text && strcmp(text, "ok") != 0)
                tell(check, "reports.sqlite: %s", text);
        }
    }
    if (result != SQLITE_DONE) {
        db_fail(&check->db, result, &failure);
        tell(check, "reports.sqlite: %s", failure.message);
    }
    sqlite3_finalize(select);
}

/* ---- one layer ---- */

/* The reports of a layer, in order of steps. */
struct chain {
    int64_t count, first, last;
    bool sound; /* the row before was intact, so the next one must name it */
};

static void check_report(struct check *check, const struct layer_row *layer,
                         sqlite3_stmt *select, struct chain *chain)
{
    struct failure failure = {0};
    struct trit_report report;
    struct report_row row;

    chain->count++;
    check->counts->reports++;
    if (report_row_read(&check->db, select, &layer->key, &row, &failure) ||
        report_row_decode(&row, &report, &failure)) {
        tell(check, "run \"%s\", layer \"%s\", after step %" PRId64 ": %s",
             layer->key.run, layer->key.layer, chain->last, failure.message);
        chain->sound = false;
        return;
    }
    if (chain->sound && row.previous != chain->last)
        tell(check,
             "run \"%s\", layer \"%s\": reports between steps %" PRId64 " and %" PRId64
             " are missing",
             layer->key.run, layer->key.layer, chain->last, row.step);
    chain->first = chain->count == 1 ? row.step : chain->first;
    chain->last = row.step;
    chain->sound = true;
}

static void check_reports(struct check *check, const struct layer_row *layer)
{
    struct chain chain = {.first = STEP_NONE, .last = STEP_NONE, .sound = true};
    struct failure failure = {0};
    sqlite3_stmt *select = statement(&check->db, ST_REPORTS_FROM, &failure);
    int found = -1;

    if (select && !(bind_key(select, 1, &layer->key) | db_bind_i64(select, 5, INT64_MIN)))
        while ((found = db_step(&check->db, select, &failure)) == 1)
            check_report(check, layer, select, &chain);
    if (select)
        db_reset(select);
    if (found < 0)
        tell(check, "run \"%s\", layer \"%s\": %s", layer->key.run, layer->key.layer,
             failure.message);
    else if (chain.count != layer->reports || chain.last != layer->step_max ||
             chain.first != layer->step_min)
        tell(check,
             "run \"%s\", layer \"%s\": %" PRId64 " reports, steps %" PRId64
             " to %" PRId64 "; its row says %" PRId64 " reports, steps %" PRId64
             " to %" PRId64,
             layer->key.run, layer->key.layer, chain.count, chain.first, chain.last,
             layer->reports, layer->step_min, layer->step_max);
}

static void check_layer(struct check *check, const struct layer_row *layer)
{
    struct failure failure = {0};

    check_reports(check, layer);
    if (past_check(&check->db, layer, &failure) < 0)
        tell(check, "run \"%s\", layer \"%s\": %s", layer->key.run, layer->key.layer,
             failure.message);
    failure = (struct failure){0};
    if (layer->upload == 0)
        return;
    check->counts->uploads++;
    if (codes_check(&check->db, layer->upload, &failure) < 0)
        tell(check, "run \"%s\", layer \"%s\", codes of step %" PRId64 ": %s",
             layer->key.run, layer->key.layer, layer->step_max, failure.message);
}

/* ---- all layers ---- */

/* Whether the row names the layer before it. */
static void check_order(struct check *check, const struct layer_row *row,
                        const struct layer_key *last, bool sound)
{
    if (sound && layer_key_compare(&row->previous, last) != 0)
        tell(check,
             "layers between run \"%s\", layer \"%s\" and run \"%s\", layer \"%s\" are "
             "missing",
             last->run, last->layer, row->key.run, row->key.layer);
}

static void check_totals(struct check *check, const struct layer_key *last, bool sound)
{
    struct failure failure = {0};
    struct totals_row totals;
    int64_t reports = 0;

    if (totals_read(&check->db, &totals, &failure)) {
        tell(check, "totals: %s", failure.message);
        return;
    }
    if ((uint64_t)totals.layers != check->counts->layers ||
        (sound && layer_key_compare(&totals.last, last) != 0))
        tell(check,
             "%" PRIu64 " layers, the last is run \"%s\", layer \"%s\"; the totals say "
             "%" PRId64 ", run \"%s\", layer \"%s\"",
             check->counts->layers, last->run, last->layer, totals.layers,
             totals.last.run, totals.last.layer);
    if (db_number(&check->db, "SELECT COUNT(*) FROM reports", &reports, &failure) == 0 &&
        (uint64_t)reports != check->counts->reports)
        tell(check, "%" PRId64 " reports belong to no layer whose row is intact",
             reports - (int64_t)check->counts->reports);
}

/* The row of the run that a layer belongs to. */
static void check_run(struct check *check, const char *name)
{
    struct failure failure = {0};
    struct run_row run;
    int found = find_run(&check->db, name, &run, &failure);

    if (found < 0)
        tell(check, "%s", failure.message);
}

/* ---- codes of older reports ---- */

static void check_kept(struct check *check, const struct kept_row *kept)
{
    sqlite3_stmt *select = statement(&check->db, ST_REPORT_AT, &(struct failure){0});
    struct failure failure = {0};
    struct report_row row;
    struct layer_key key;

    if (codes_check(&check->db, kept->upload, &failure) == 0 &&
        codes_check(&check->db, kept->scales, &failure) == 0)
        return;
    if (select && db_bind_i64(select, 1, kept->sequence) == SQLITE_OK &&
        db_step(&check->db, select, NULL) == 1 &&
        report_row_read_any(&check->db, select, &key, &row, NULL) == 0)
        tell(check,
             "run \"%s\", layer \"%s\", codes or scales kept of step %" PRId64 ": %s",
             key.run, key.layer, row.step, failure.message);
    else
        tell(check, "codes or scales that are kept: %s", failure.message);
    if (select)
        db_reset(select);
}

static void check_all_kept(struct check *check)
{
    struct failure failure = {0};
    sqlite3_stmt *select = statement(&check->db, ST_KEPT_FROM, &failure);
    int found = -1;

    if (select && db_bind_i64(select, 1, INT64_MIN) == SQLITE_OK)
        while ((found = db_step(&check->db, select, &failure)) == 1) {
            struct failure damage = {0};
            struct kept_row kept;

            if (kept_row_read(select, &kept, &damage))
                tell(check, "the table of kept codes: %s", damage.message);
            else
                check_kept(check, &kept);
        }
    if (select)
        db_reset(select);
    if (found < 0)
        tell(check, "the table of kept codes: %s", failure.message);
}

/* ---- shards ---- */

struct shards_check {
    struct check *check;
    size_t count;
};

static int check_shard(void *arg, size_t index, const struct waiting_part *part,
                       struct failure *failure)
{
    struct shards_check *shards = arg;
    struct db *db = &shards->check->db;

    shards->count = index + 1;
    return codes_check(db, part->upload, failure) ||
                   codes_check(db, part->groups, failure)
               ? -1
               : 1;
}

static int check_waiting(void *arg, const struct waiting *waiting,
                         struct failure *failure)
{
    struct shards_check shards = {.check = arg};
    struct failure damage = {0};

    (void)failure;
    if (waiting_parts(&shards.check->db, waiting, check_shard, &shards, &damage) == 0 &&
        shards.count != waiting->list.count)
        fail(&damage, TRIT_DATA_LOSS, NULL, "%zu of %zu shards are there", shards.count,
             waiting->list.count);
    if (damage.status != TRIT_OK)
        tell(shards.check,
             "run \"%s\", layer \"%s\", shards that wait at step %" PRId64 ": %s",
             waiting->key.run, waiting->key.layer, waiting->step, damage.message);
    return 1;
}

static void check_joined(struct check *check, int64_t sequence)
{
    struct shard_list list = {.count = 0};
    struct failure failure = {0};

    if (joined_find(&check->db, sequence, &list, &failure) < 0)
        tell(check, "report %" PRId64 ": %s", sequence, failure.message);
    shard_list_fini(&list);
}

static void check_shards(struct check *check)
{
    const struct layer_key first = {.run = "", .attempt = -1};
    struct failure failure = {0};
    sqlite3_stmt *select = NULL;

    if (waiting_walk(&check->db, &first, -1, check_waiting, check, &failure))
        tell(check, "shards that wait: %s", failure.message);
    if (sqlite3_prepare_v2(check->db.sqlite, "SELECT sequence FROM joined", -1, &select,
                           NULL) == SQLITE_OK)
        while (sqlite3_step(select) == SQLITE_ROW)
            check_joined(check, sqlite3_column_int64(select, 0));
    sqlite3_finalize(select);
}

/* ---- together ---- */

static void check_layers(struct check *check)
{
    struct failure failure = {0};
    sqlite3_stmt *select = statement(&check->db, ST_LAYERS_FROM, &failure);
    struct layer_key last = {.run = ""};
    bool sound = true;
    int found = -1;

    if (select && bind_key(select, 1, &last) == SQLITE_OK)
        while ((found = db_step(&check->db, select, &failure)) == 1) {
            struct layer_row row;

            check->counts->layers++;
            if (layer_row_read(&check->db, select, &row, &failure)) {
                tell(check, "the layer after run \"%s\", layer \"%s\": %s", last.run,
                     last.layer, failure.message);
                sound = false;
                continue;
            }
            check_order(check, &row, &last, sound);
            if (strcmp(row.key.run, last.run) != 0)
                check_run(check, row.key.run);
            check_layer(check, &row);
            last = row.key;
            sound = true;
        }
    if (select)
        db_reset(select);
    if (found < 0)
        tell(check, "the table of layers: %s", failure.message);
    check_totals(check, &last, sound);
}

static void tell_slot(void *arg, const struct failure *failure)
{
    tell(arg, "%s", failure->message);
}

/* Without the file every chunk in it is damaged. */
static void check_slots(struct check *check, const char *path)
{
    struct failure failure = {0};

    if (slots_open(&check->db.slots, path, O_RDONLY, &failure) ||
        places_claim(&check->db, tell_slot, check, &failure))
        tell(check, "%s", failure.message);
}

static void close_database(struct check *check)
{
    slots_close(check->db.slots);
    db_close(&check->db);
}

/* SQLite only says that it is read-only, as everything is that is inspected. */
static int check_header(const char *path, struct failure *failure)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t version = 0;
    const ssize_t got = fd < 0 ? -1 : pread(fd, &version, 1, HEADER_WRITE_VERSION);

    if (fd >= 0)
        close(fd);
    if (got != 1)
        return fail(failure, TRIT_UNAVAILABLE, NULL, "cannot read its header: %s",
                    strerror(errno));
    return version <= 2
               ? 0
               : fail(failure, TRIT_DATA_LOSS, NULL,
                      "its header says that it is read-only, but a store never is");
}

static void check_newest(struct check *check, const struct directory *directory)
{
    struct failure failure = {0};
    int64_t there = 0;
    bool whole;

    if (newest_number(&check->db, &there, &failure) ||
        newest_check(&check->db, directory, there, &whole, &failure))
        tell(check, "reports.sqlite: %s", failure.message);
}

static int check_database(struct check *check, const struct directory *directory,
                          struct failure *failure)
{
    const char *path = directory->database;
    struct failure reason = {0};

    if (db_open(&check->db, path, DB_INSPECTS, &reason) == 0 &&
        schema_check(&check->db, directory_place(directory), &reason) == 0 &&
        check_header(path, &reason) == 0) {
        check_structure(check);
        check_newest(check, directory);
        check_slots(check, directory->slots);
        check_layers(check);
        check_all_kept(check);
        check_shards(check);
    } else if (reason.status == TRIT_DATA_LOSS) {
        tell(check, "reports.sqlite: %s", reason.message);
    } else {
        close_database(check);
        return fail(failure, reason.status, "data-dir", "%s: %s", path, reason.message);
    }
    close_database(check);
    return 0;
}

int store_check(const char *path, void (*damaged)(void *arg, const char *message),
                void *arg, struct store_counts *counts, struct failure *failure)
{
    struct check check = {.damaged = damaged, .arg = arg, .counts = counts};
    struct directory directory;
    struct failure reason = {0};
    struct stat status;
    int result = 0;

    *counts = (struct store_counts){0};
    if (stat(path, &status) < 0)
        return fail_field(failure, TRIT_UNAVAILABLE, "data-dir", "\"%.200s\": %s", path,
                          strerror(errno));
    if (directory_open_to_read(&directory, path, failure) < 0)
        return -1;
    if (stat(directory.database, &status) == 0 && status.st_size > 0) {
        result = check_database(&check, &directory, failure);
    } else if (directory.kept) {
        schema_lost(&reason);
        tell(&check, "reports.sqlite: %s", reason.message);
    }
    directory_close(&directory);
    return result;
}
