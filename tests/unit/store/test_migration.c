/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of schema version 1, which knew no questions and no checksums. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/codec/codec.h"
#include "store/db.h"
#include "store/schema.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/store_faults.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

enum { CODES_BYTES = 600, LAYERS = 3, STEPS = 4 };
static const char *const layer_names[LAYERS] = {"x", "y", "z"};

/* ---- as a daemon of that version wrote it ------------------------------------------ */

static void report_of(struct trit_report *report, size_t layer, uint64_t step)
{
    fixture_report(report, layer == 2 ? "b" : "a", layer_names[layer], step,
                   (unsigned)(10 * layer + step), 1, 4 * CODES_BYTES, 128);
}

static void insert_report(struct db *db, const struct trit_report *report)
{
    uint8_t bytes[REPORT_BYTES_MAX];
    size_t count = encode_report(report, bytes, sizeof(bytes));
    sqlite3_stmt *insert;

    CHECK(sqlite3_prepare_v2(db->sqlite,
                             "INSERT INTO reports (run, layer, step, time_unix_ns,"
                             " digest, report) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                             -1, &insert, NULL) == SQLITE_OK);
    db_bind_text(insert, 1, report->run);
    db_bind_text(insert, 2, report->layer);
    db_bind_u64(insert, 3, report->step);
    db_bind_i64(insert, 4, report->time_unix_ns);
    db_bind_blob(insert, 5, report->digest, TRIT_DIGEST_BYTES);
    db_bind_blob(insert, 6, bytes, count);
    CHECK(sqlite3_step(insert) == SQLITE_DONE);
    sqlite3_finalize(insert);
}

/* Layer x has codes kept, y and z have none. */
static void insert_layer(struct db *db, const struct trit_report *newest, size_t layer)
{
    char sql[1024];

    snprintf(
        sql, sizeof(sql),
        "INSERT INTO layers VALUES ('%s', '%s', 1, %d, %d, %lld, %s, '1,%d', 128, 0)",
        newest->run, newest->layer, STEPS, STEPS, (long long)newest->time_unix_ns,
        layer == 0 ? "7" : "NULL", 4 * CODES_BYTES);
    CHECK(db_exec(db, sql, NULL) == 0);
}

/* Replaces the closed store of the fixture. Newest first, as rows need not lie in
 * order. */
static void write_version_1(struct store_fixture *fixture, bool empty)
{
    char path[STORE_PATH_BYTES], sql[128];
    struct trit_report report;
    struct db db;

    store_file(fixture, path);
    CHECK(unlink(path) == 0);
    CHECK(db_open(&db, path, DB_WRITES, NULL) == 0);
    CHECK(schema_migrate(&db, 0, 1, NULL) == 0);
    for (size_t layer = LAYERS; layer-- > 0 && !empty;) {
        for (uint64_t step = STEPS; step > 0; step--) {
            report_of(&report, layer, step);
            insert_report(&db, &report);
        }
        report_of(&report, layer, STEPS);
        insert_layer(&db, &report, layer);
    }
    for (int chunk = 0; chunk < 2 && !empty; chunk++) {
        snprintf(sql, sizeof(sql), "INSERT INTO codes VALUES (7, %d, zeroblob(%d))",
                 chunk, CODES_BYTES / 2);
        CHECK(db_exec(&db, sql, NULL) == 0);
    }
    db_close(&db);
    CHECK_EQ(store_sql(fixture, "PRAGMA user_version"), 1);
}

static void open_store(struct store_fixture *fixture)
{
    struct failure failure = {0};

    if (store_fixture_open_store(fixture, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

static void begin(struct store_fixture *fixture, bool empty)
{
    store_fixture_init_fast(fixture);
    store_fixture_close_store(fixture);
    write_version_1(fixture, empty);
}

/* ---- what it answers -------------------------------------------------------------- */

static void check_report(struct store_reader *reader, size_t layer, uint64_t step)
{
    uint8_t want_bytes[REPORT_BYTES_MAX], got_bytes[REPORT_BYTES_MAX];
    struct trit_report want, got;
    struct failure failure = {0};

    report_of(&want, layer, step);
    if (store_read_report(reader, GET(want.run, want.layer, true, step), &got, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    want.attempt = 1;
    want.has_stored = want.stored = true;
    size_t count = encode_report(&want, want_bytes, sizeof(want_bytes));

    CHECK_EQ(encode_report(&got, got_bytes, sizeof(got_bytes)), count);
    CHECK_MEM(got_bytes, want_bytes, count);
}

static bool count_report(void *arg, const struct trit_report *report)
{
    (void)report;
    ++*(unsigned *)arg;
    return true;
}

static bool see_run(void *arg, const struct store_run_info *info)
{
    CHECK_EQ(info->reports, info->layers * STEPS);
    CHECK_EQ(info->step_max, STEPS);
    ++*(unsigned *)arg;
    return true;
}

static void check_all(struct store_fixture *fixture)
{
    const struct store_query all = {.step_to = UINT64_MAX, .limit = 100};
    struct store_reader *reader;
    struct trit_report report;
    struct failure failure = {0};
    unsigned reports = 0, runs = 0;

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (uint64_t step = 1; step <= STEPS; step++)
            check_report(reader, layer, step);
    CHECK(store_read_reports(reader, &all, count_report, &reports, NULL) == 0);
    CHECK_EQ(reports, LAYERS * STEPS);
    CHECK(store_read_runs(reader, see_run, &runs, NULL) == 0);
    CHECK_EQ(runs, 2);
    CHECK(store_read_report(reader, GET("a", "y", true, 9), &report, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    store_reader_close(reader);
}

/* ---- cases ------------------------------------------------------------------------- */

CASE(reads_back, "a store of schema version 1 is migrated and read completely")
{
    struct store_fixture fixture;

    begin(&fixture, false);
    open_store(&fixture);
    check_all(&fixture);
    store_fixture_close_store(&fixture);
    CHECK_EQ(store_sql(&fixture, "PRAGMA user_version"), schema_version());
    open_store(&fixture);
    check_all(&fixture);
    store_fixture_fini(&fixture);
}

CASE(goes_on, "after a migration flips are counted against the codes in the old store")
{
    static uint8_t codes[CODES_BYTES];
    struct store_fixture fixture;
    struct fixture_put put;
    struct trit_report report;

    begin(&fixture, false);
    open_store(&fixture);
    memset(codes, 0x55, sizeof(codes));
    report_of(&report, 0, STEPS + 1);
    fixture_put(&fixture, &put, &report, codes, sizeof(codes));
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    CHECK_EQ(put.report.previous_step, STEPS);
    CHECK_EQ(put.report.flips, 4 * CODES_BYTES);
    report_of(&report, 2, STEPS + 1);
    fixture_put(&fixture, &put, &report, codes, sizeof(codes));
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    CHECK(!put.report.has_previous);
    store_fixture_fini(&fixture);
}

/* What was asked is not known, so nothing equals it. */
CASE(never_equal,
     "migrated reports equal no new report, because their questions are unknown")
{
    struct store_fixture fixture;
    struct fixture_put put;
    struct trit_report report;

    begin(&fixture, false);
    open_store(&fixture);
    report_of(&report, 1, 2);
    fixture_put(&fixture, &put, &report, NULL, 0);
    CHECK_EQ(put.put.failure.status, TRIT_ALREADY_EXISTS);
    CHECK_STR(
        put.put.failure.message,
        "report of run \"a\", layer \"y\", step 2: already exists with digest "
        "0c0000000000; this one has digest 0c0000000000; it was stored by an older tritd, "
        "which did not keep the question that it answers; use another step, "
        "or attempt 2 if the run was resumed (see Reports.Rewind)");
    store_fixture_fini(&fixture);
}

CASE(guarded_from_then_on, "migrated rows have a CRC")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct trit_report report;
    struct failure failure = {0};

    begin(&fixture, false);
    open_store(&fixture);
    store_fixture_close_store(&fixture);
    store_sql(&fixture,
              "DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step = 3;"
              "UPDATE reports SET time_unix_ns = 1 WHERE layer = 'z'"
              " AND step = 1");
    open_store(&fixture);
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    CHECK(store_read_report(reader, GET("a", "x", true, 3), &report, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_DATA_LOSS);
    failure = (struct failure){0};
    CHECK(store_read_report(reader, GET("b", "z", true, 1), &report, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_DATA_LOSS);
    check_report(reader, 0, 2);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

CASE(
    damage_stays,
    "a damaged report of a store of version 2 is damaged after its migration; the row of a "
    "layer is made again")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct trit_report report;
    struct failure failure = {0};
    char path[STORE_PATH_BYTES];
    struct db db;

    begin(&fixture, false);
    store_file(&fixture, path);
    CHECK(db_open(&db, path, DB_WRITES, NULL) == 0);
    CHECK(schema_migrate(&db, 1, 2, NULL) == 0);
    CHECK(db_exec(&db,
                  "UPDATE reports SET time_unix_ns = 1 WHERE layer = 'z' AND step = 1;"
                  "DELETE FROM reports WHERE layer = 'x' AND step = 2;"
                  "UPDATE layers SET reports = 9 WHERE layer = 'y'",
                  NULL) == 0);
    db_close(&db);
    open_store(&fixture);
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    CHECK(store_read_report(reader, GET("b", "z", true, 1), &report, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_DATA_LOSS);
    failure = (struct failure){0};
    CHECK(store_read_report(reader, GET("a", "x", true, 2), &report, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_DATA_LOSS);
    CHECK(store_read_report(reader, GET("a", "y", true, 2), &report, NULL) == 0);
    check_report(reader, 0, 3);
    check_report(reader, 2, 2);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

static uint32_t change_counter(const struct store_fixture *fixture)
{
    char path[STORE_PATH_BYTES];
    uint8_t bytes[4] = {0};

    store_file(fixture, path);
    FILE *file = fopen(path, "rb");

    CHECK(file && fseek(file, 24, SEEK_SET) == 0 && fread(bytes, 4, 1, file) == 1);
    fclose(file);
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           bytes[3];
}

/* Else it would not open where the disk is full. */
CASE(open_writes_nothing, "a store of this version is opened without a write to it")
{
    struct store_fixture fixture;
    struct fixture_put put;
    struct trit_report report;

    store_fixture_init(&fixture, false);
    report_of(&report, 0, 1);
    fixture_put(&fixture, &put, &report, NULL, 0);
    store_fixture_close_store(&fixture);
    const uint32_t before = change_counter(&fixture);

    open_store(&fixture);
    store_fixture_close_store(&fixture);
    CHECK_EQ(change_counter(&fixture), before);
    store_fixture_fini(&fixture);
}

CASE(empty_store, "an empty store of version 1 takes reports after its migration")
{
    struct store_fixture fixture;
    struct fixture_put put;
    struct trit_report report;

    begin(&fixture, true);
    open_store(&fixture);
    report_of(&report, 0, 1);
    fixture_put(&fixture, &put, &report, NULL, 0);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    store_fixture_fini(&fixture);
}

/* Whatever allocation fails: the store stays as it was, or has moved on whole. */
CASE(interrupted, "a migration that fails leaves the store unchanged")
{
    struct store_fixture fixture;
    bool fired = true;

    begin(&fixture, false);
    for (uint64_t nth = 1; fired; nth += 1 + nth / 16) {
        struct failure failure = {0};

        fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
        int opened = store_fixture_open_store(&fixture, &failure);

        fired = fault_disarm();
        if (opened < 0) {
            CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
            open_store(&fixture);
        }
        check_all(&fixture);
        store_fixture_close_store(&fixture);
        write_version_1(&fixture, false);
    }
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    store_faults_init();
    return check_main(argc, argv);
}
