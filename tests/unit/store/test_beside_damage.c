/* SPDX-License-Identifier: Apache-2.0 */
/* Queries that go on beside damaged reports: lists, reports in order of filing, and sums of
 * runs. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "store/row.h"
#include "store/run_health.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_sql.h"

/* ---- lists that go on beside damage ------------------------------------------------ */

static void check_latest_beside(const char *damage, const char *expected,
                                const char *until_25)
{
    struct store_fixture fixture;

    damaged_build(&fixture, damage);
    check_beside(&fixture, (struct store_query){.latest_only = true}, 100, expected);
    check_beside(&fixture, (struct store_query){.latest_only = true, .step_to = 25}, 100,
                 until_25);
    check_beside(&fixture,
                 (struct store_query){
                     .run = "b", .layer = "y", .latest_only = true, .step_to = 25},
                 100, "b/y/20");
    store_fixture_fini(&fixture);
}

CASE(
    latest_beside_damage,
    "a list of the newest reports names one that is damaged or missing, shows no older one "
    "in its place, and has all others")
{
    check_latest_beside(
        "UPDATE reports SET report = x'00' WHERE run = 'a' AND layer = 'x'"
        " AND step = 30",
        "a/x/30! a/y/30 b/x/30 b/y/30", "a/x/25! a/y/20 b/x/20 b/y/20");
    check_latest_beside("DELETE FROM reports WHERE run = 'a' AND layer = 'y'"
                        " AND step = 30",
                        "a/x/30 a/y/30! b/x/30 b/y/30", "a/x/20 a/y/25! b/x/20 b/y/20");
    check_latest_beside(
        "UPDATE reports SET report = x'00' WHERE layer = 'x' AND step = 20",
        "a/x/30 a/y/30 b/x/30 b/y/30", "a/x/20! a/y/20 b/x/20! b/y/20");
    check_latest_beside("DELETE FROM reports WHERE layer = 'x' AND step = 20",
                        "a/x/30 a/y/30 b/x/30 b/y/30", "a/x/20! a/y/20 b/x/20! b/y/20");
    check_latest_beside("DELETE FROM reports WHERE run = 'a' AND layer = 'x'",
                        "a/x/30! a/y/30 b/x/30 b/y/30", "a/x/25! a/y/20 b/x/20 b/y/20");
}

CASE(beside_damage, "a list ends when its caller says so, also at a damaged report")
{
    struct store_fixture fixture;
    const struct store_query all = {.run = "a"};
    const struct store_query latest = {.run = "a", .latest_only = true};

    damaged_build(&fixture,
                  "UPDATE reports SET digest = x'00' WHERE run = 'a' AND step > 10");
    check_beside(&fixture, all, 100, "a/x/10 a/x/30! a/y/10 a/y/30!");
    check_beside(&fixture, all, 2, "a/x/10 a/x/30!");
    check_beside(&fixture, latest, 100, "a/x/30! a/y/30!");
    check_beside(&fixture, latest, 1, "a/x/30!");
    store_fixture_fini(&fixture);
}

/* Steps up to this one of run a. */
static void check_until(const char *damage, uint64_t until, const char *expected)
{
    struct store_fixture fixture;

    damaged_build(&fixture, damage);
    check_beside(&fixture,
                 (struct store_query){.run = "a", .layer = "x", .step_to = until}, 100,
                 expected);
    store_fixture_fini(&fixture);
}

CASE(
    ends_in_damage,
    "a list up to a step names a damaged or missing report in its range, also if it comes "
    "last")
{
    check_until("SELECT 1", 25, "a/x/10 a/x/20");
    check_until("DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step > 10", 25,
                "a/x/10 a/x/25!");
    check_until("DELETE FROM reports WHERE run = 'a' AND layer = 'x'", 25, "a/x/25!");
    check_until("UPDATE reports SET digest = x'00' WHERE run = 'a' AND layer = 'x'"
                " AND step > 10",
                25, "a/x/10 a/x/25!");
    check_until("DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step = 20", 15,
                "a/x/10 a/x/15!");
    check_until("DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step = 20", 25,
                "a/x/10 a/x/20!");
}

static int64_t of_layer(struct store_fixture *fixture, const char *column)
{
    char text[128];

    snprintf(text, sizeof(text), "SELECT %s FROM layers WHERE run = 'a' AND layer = 'x'",
             column);
    return store_sql(fixture, text);
}

/* Files steps 40 and 50, and gives the layer the row that it had before. */
static void build_old_row(struct store_fixture *fixture)
{
    char text[256];

    damaged_build(fixture, "SELECT 1");
    store_fixture_close_store(fixture);
    snprintf(text, sizeof(text),
             "UPDATE layers SET step_max = 30, reports = 3, time_unix_ns = %" PRId64
             ", upload = %" PRId64 ", crc = %" PRId64 " WHERE run = 'a' AND layer = 'x'",
             of_layer(fixture, "time_unix_ns"), of_layer(fixture, "upload"),
             of_layer(fixture, "crc"));
    damaged_open(fixture);
    CHECK_EQ(damaged_file(fixture, "a", "x", 40, true, NULL), TRIT_OK);
    CHECK_EQ(damaged_file(fixture, "a", "x", 50, true, NULL), TRIT_OK);
    store_fixture_close_store(fixture);
    store_sql(fixture, text);
    damaged_open(fixture);
}

CASE(newer_than_layer,
     "if the row of a layer is an old one, a list names the newer reports as damaged")
{
    struct store_fixture fixture;

    build_old_row(&fixture);
    check_beside(&fixture, (struct store_query){.run = "a", .layer = "x"}, 100,
                 "a/x/10 a/x/20 a/x/30 a/x/50!");
    check_beside(&fixture, (struct store_query){.run = "a", .layer = "x", .step_to = 45},
                 100, "a/x/10 a/x/20 a/x/30 a/x/45!");
    store_fixture_fini(&fixture);
}

/* ---- in order of filing ------------------------------------------------------------ */

static bool count_filed(void *arg, uint64_t sequence, const struct trit_report *report)
{
    (void)sequence, (void)report;
    ++*(unsigned *)arg;
    return true;
}

static unsigned read_since(struct store_fixture *fixture, const char *run,
                           uint64_t sequence, struct failure *failure)
{
    struct store_reader *reader;
    unsigned count = 0;

    *failure = (struct failure){0};
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    store_read_since(reader, run, sequence, 100, count_filed, &count, failure);
    store_reader_close(reader);
    return count;
}

CASE(filed_beside_damage,
     "a read in order of filing names a damaged report; reports of other runs and later "
     "ones can still be read")
{
    struct store_fixture fixture;
    struct failure failure;

    for (int step = 20; step <= 30; step += 10) {
        char damage[128];

        snprintf(damage, sizeof(damage),
                 "UPDATE reports SET digest = x'00' WHERE run = 'a' AND layer = 'x' AND"
                 " step = %d",
                 step);
        damaged_build(&fixture, damage);
        CHECK_EQ(read_since(&fixture, "b", 0, &failure), 6);
        CHECK_EQ(failure.status, TRIT_OK);
        CHECK_EQ(read_since(&fixture, "a", 0, &failure), step == 20 ? 2 : 4);
        check_names(&failure,
                    step == 20 ? "filed as number 5: report of run \"a\", layer \"x\", "
                                 "step 20: "
                               : "filed as number 9: report of run \"a\", layer \"x\", "
                                 "step 30: ");
        CHECK_EQ(read_since(&fixture, NULL, step == 20 ? 5 : 9, &failure),
                 step == 20 ? 7 : 3);
        CHECK_EQ(failure.status, TRIT_OK);
        store_fixture_fini(&fixture);
    }
}

CASE(
    filed_of_unknown_run,
    "if the run of a damaged report is unknown, reading any run in order of filing fails "
    "with DATA_LOSS")
{
    struct store_fixture fixture;
    struct failure failure;

    damaged_build(&fixture, "UPDATE reports SET run = 'c' WHERE run = 'b' AND layer = 'x'"
                            " AND step = 20");
    CHECK_EQ(read_since(&fixture, "b", 0, &failure), 2);
    check_names(&failure, "filed as number 7: ");
    CHECK_EQ(read_since(&fixture, "a", 0, &failure), 4);
    CHECK_EQ(failure.status, TRIT_DATA_LOSS);
    store_fixture_fini(&fixture);
}

/* Gives the report of a step other bytes, which are no report, and their checksum. */
static void make_undecodable(struct store_fixture *fixture, int64_t sequence)
{
    char path[STORE_PATH_BYTES];
    struct report_row row;
    struct layer_key key;
    sqlite3_stmt *select, *update;
    sqlite3 *db;

    store_file(fixture, path);
    CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_EQ(sqlite3_prepare_v2(db,
                                "SELECT " REPORT_COLUMNS " FROM reports WHERE"
                                " sequence = ?1",
                                -1, &select, NULL),
             SQLITE_OK);
    sqlite3_bind_int64(select, 1, sequence);
    CHECK_EQ(sqlite3_step(select), SQLITE_ROW);
    layer_key_set(&key, (const char *)sqlite3_column_text(select, 1),
                  (const char *)sqlite3_column_text(select, 2));
    row = (struct report_row){
        .sequence = sequence,
        .key = &key,
        .step = sqlite3_column_int64(select, 5),
        .previous = sqlite3_column_int64(select, 6),
        .time_unix_ns = sqlite3_column_int64(select, 7),
        .digest = sqlite3_column_blob(select, 8),
        .digest_bytes = (size_t)sqlite3_column_bytes(select, 8),
        .question = sqlite3_column_blob(select, 9),
        .question_bytes = (size_t)sqlite3_column_bytes(select, 9),
        .report = (const uint8_t *)"",
        .report_bytes = 1,
    };
    CHECK_EQ(sqlite3_prepare_v2(db,
                                "UPDATE reports SET report = x'00', crc = ?1 WHERE"
                                " sequence = ?2",
                                -1, &update, NULL),
             SQLITE_OK);
    sqlite3_bind_int64(update, 1, report_row_crc(&row));
    sqlite3_finalize(select);
    sqlite3_bind_int64(update, 2, sequence);
    CHECK_EQ(sqlite3_step(update), SQLITE_DONE);
    sqlite3_finalize(update);
    CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

CASE(filed_undecodable,
     "a report whose checksum is right, but which cannot be decoded, is named as damaged")
{
    struct store_fixture fixture;
    struct failure failure;

    damaged_build(&fixture, "SELECT 1");
    store_fixture_close_store(&fixture);
    make_undecodable(&fixture, 5);
    damaged_open(&fixture);
    CHECK_EQ(read_since(&fixture, "a", 0, &failure), 2);
    check_names(&failure,
                "filed as number 5: report of run \"a\", layer \"x\", step 20: ");
    CHECK_EQ(read_since(&fixture, "a", 5, &failure), 3);
    CHECK_EQ(failure.status, TRIT_OK);
    check_beside(&fixture, (struct store_query){.run = "a", .layer = "x"}, 100,
                 "a/x/10 a/x/20! a/x/30");
    store_fixture_fini(&fixture);
}

/* ---- a run that was rewound -------------------------------------------------------- */

static const int64_t late = 1800000000000000000;

struct rewind {
    struct store_change change;
    bool done;
};

static void rewound(struct store_change *change)
{
    ((struct rewind *)change)->done = true;
}

static bool is_rewound(void *arg)
{
    return ((struct rewind *)arg)->done;
}

/* Run a goes on after step 20, with nothing yet; reports of its layer x are damaged. */
static void build_rewound(struct store_fixture *fixture, const char *damage)
{
    struct rewind rewind = {.change = {.run = "a", .step = 20, .done = rewound}};

    damaged_build(fixture, "SELECT 1");
    CHECK(store_rewind(&rewind.change, fixture->store, NULL) == 0);
    loop_run_until(fixture->loop, is_rewound, &rewind);
    CHECK_EQ(rewind.change.failure.status, TRIT_OK);
    store_fixture_close_store(fixture);
    store_sql(fixture, damage);
    damaged_open(fixture);
}

struct stale_layers {
    char names[64];
};

static bool take_stale(void *arg, int64_t since_unix_ns, const struct trit_report *report)
{
    struct stale_layers *stale = arg;
    const size_t length = strlen(stale->names);

    (void)since_unix_ns;
    snprintf(stale->names + length, sizeof(stale->names) - length, "%s/%s ", report->run,
             report->layer);
    return true;
}

/* Sums, health and staleness are of all runs, whatever is damaged. */
static void check_sums(struct store_fixture *fixture, unsigned warnings)
{
    const struct store_stale_query stale_query = {.after_unix_ns = INT64_MIN,
                                                  .now_unix_ns = late};
    struct stale_layers stale = {""};
    struct store_run_health health;
    struct store_run_info info;
    struct store_reader *reader;
    struct failure failure = {0};
    unsigned count, rows;

    CHECK_EQ(damaged_runs(fixture, &count, &rows), TRIT_OK);
    CHECK_EQ(rows, 0);
    CHECK_EQ(count, 2);
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    if (store_read_run(reader, "a", 0, &info, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    CHECK_EQ(info.layers, 2);
    CHECK_EQ(info.step_min, 10);
    CHECK_EQ(info.step_max, 20);
    if (store_read_run_health(reader, "a", 0, &health, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    CHECK_EQ(health.step, 20);
    CHECK_EQ(health.layers[TRIT_HEALTH_WARNING], warnings);
    if (store_read_stale(reader, &stale_query, take_stale, &stale, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    CHECK_STR(stale.names, warnings ? "a/y b/x b/y " : "a/x a/y b/x b/y ");
    store_reader_close(reader);
}

CASE(
    sums_of_rewound,
    "if the newest report before a rewind is damaged or missing, sums still have all runs, "
    "the layer is a warning, and other layers can still be stale")
{
    static const char *const damages[] = {
        "UPDATE reports SET digest = x'00' WHERE run = 'a' AND layer = 'x' AND step = 20",
        "DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step > 10",
        "DELETE FROM reports WHERE run = 'a' AND layer = 'x'",
    };
    struct store_fixture fixture;

    build_rewound(&fixture, "SELECT 1");
    check_sums(&fixture, 0);
    store_fixture_fini(&fixture);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        build_rewound(&fixture, damages[i]);
        check_sums(&fixture, 1);
        check_beside(&fixture, (struct store_query){.run = "a", .latest_only = true}, 100,
                     "a/x/20! a/y/20");
        store_fixture_fini(&fixture);
    }
}

CASE(
    older_of_rewound,
    "an intact report is read although a newer one, which would say whether the layer is "
    "stale, is damaged")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct trit_report report;
    struct failure failure = {0};
    unsigned count;
    const struct store_get get = {
        .run = "a", .layer = "x", .has_step = true, .step = 10, .now_unix_ns = late};

    build_rewound(&fixture, "UPDATE reports SET digest = x'00' WHERE run = 'a' AND"
                            " layer = 'x' AND step = 20");
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    if (store_read_report(reader, &get, &report, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    CHECK_EQ(report.step, 10);
    store_reader_close(reader);
    CHECK_EQ(damaged_list(&fixture,
                          (struct store_query){.run = "a",
                                               .layer = "x",
                                               .step_to = 10,
                                               .newest_first = true,
                                               .now_unix_ns = late},
                          &count, &failure),
             TRIT_OK);
    CHECK_EQ(count, 1);
    CHECK_EQ(damaged_list(
                 &fixture,
                 (struct store_query){
                     .run = "a", .layer = "x", .newest_first = true, .now_unix_ns = late},
                 &count, &failure),
             TRIT_DATA_LOSS);
    store_fixture_fini(&fixture);
}
