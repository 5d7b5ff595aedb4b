/* SPDX-License-Identifier: Apache-2.0 */
/* Damage: what is damaged is DATA_LOSS naming the key, and whatever else is there
 * stays readable. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_sql.h"

/* ---- reports ----------------------------------------------------------------------- */

CASE(damaged_report,
     "reading a damaged report is DATA_LOSS and names its key; other queries succeed")
{
    struct store_fixture fixture;
    struct failure failure;
    unsigned count;

    damaged_build(&fixture, "UPDATE reports SET time_unix_ns = time_unix_ns + 1"
                            " WHERE run = 'a' AND layer = 'x' AND step = 20");
    damaged_get(&fixture, "a", "x", 20, &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 20: ");
    damaged_list(&fixture, (struct store_query){.run = "a", .layer = "x"}, &count,
                 &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 20: ");
    damaged_list(&fixture, (struct store_query){.newest_first = true}, &count, &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 20: ");
    /* What does not need it. */
    CHECK_EQ(damaged_get(&fixture, "a", "x", 10, NULL), TRIT_OK);
    CHECK_EQ(damaged_get(&fixture, "a", "x", -1, NULL), TRIT_OK);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 25, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(damaged_list(&fixture,
                          (struct store_query){.run = "a", .layer = "x", .step_from = 21},
                          &count, NULL),
             TRIT_OK);
    CHECK_EQ(count, 1);
    CHECK_EQ(
        damaged_list(&fixture, (struct store_query){.latest_only = true}, &count, NULL),
        TRIT_OK);
    CHECK_EQ(count, 4);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.limit = 1}, &count, NULL),
             TRIT_OK);
    CHECK_EQ(damaged_runs(&fixture, &count), TRIT_OK);
    CHECK_EQ(count, 2);
    check_others(&fixture);
    /* The same key again cannot be compared; a later step can be filed. */
    damaged_file(&fixture, "a", "x", 20, true, &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 20: not stored: ");
    CHECK_EQ(damaged_file(&fixture, "a", "x", 40, true, NULL), TRIT_OK);
    store_fixture_fini(&fixture);
}

CASE(lost_report, "a lost report is DATA_LOSS, never NOT_FOUND and never a shorter list")
{
    struct store_fixture fixture;
    struct failure failure;
    unsigned count;

    damaged_build(&fixture,
                  "DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step = 20");
    damaged_get(&fixture, "a", "x", 20, &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 20: ");
    CHECK_EQ(damaged_list(&fixture, (struct store_query){0}, &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture,
                          (struct store_query){.run = "a", .newest_first = true}, &count,
                          NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture,
                          (struct store_query){
                              .run = "a", .layer = "x", .step_from = 11, .step_to = 29},
                          &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 5, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 35, NULL), TRIT_NOT_FOUND);
    check_others(&fixture);
    damaged_file(&fixture, "a", "x", 20, true, &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 20: not stored: ");
    store_fixture_fini(&fixture);
}

/* ---- lists that go on beside damage ------------------------------------------------ */

struct told {
    char text[256];
    unsigned left; /* rows until the list is ended */
};

static bool tell(struct told *told, const char *run, const char *layer, uint64_t step,
                 const char *mark)
{
    const size_t length = strlen(told->text);

    snprintf(told->text + length, sizeof(told->text) - length, "%s%s/%s/%u%s",
             length ? " " : "", run, layer, (unsigned)step, mark);
    return --told->left > 0;
}

static bool tell_sound(void *arg, const struct trit_report *report)
{
    return tell(arg, report->run, report->layer, report->step, "");
}

static bool tell_passed(void *arg, const struct store_key *key)
{
    return tell(arg, key->run, key->layer, key->step, "!");
}

/* The list, with "!" behind what is damaged; the failure's message where it fails. */
static void check_beside(struct store_fixture *fixture, struct store_query query,
                         unsigned rows, const char *expected)
{
    struct told told = {.left = rows};
    struct failure failure = {0};
    struct store_reader *reader;

    query.limit = 100;
    query.step_to = query.step_to ? query.step_to : UINT64_MAX;
    query.passed = tell_passed;
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    if (store_read_reports(reader, &query, tell_sound, &told, &failure))
        CHECK_STR(failure.message, "");
    CHECK_EQ(failure.status, TRIT_OK);
    CHECK_STR(told.text, expected);
    store_reader_close(reader);
}

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

CASE(beside_damage, "a list that goes on beside damage ends where its caller says so")
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
     "a damaged report is named where reports are read in order of filing, and "
     "hides none of another run and none that was filed later")
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

CASE(filed_of_unknown_run,
     "a damaged report that may be of any run is DATA_LOSS for reports of all runs")
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

/* The newest and the first: no neighbour on one side. */
CASE(lost_at_the_ends, "a lost first or newest report of a layer is DATA_LOSS")
{
    struct store_fixture fixture;
    unsigned count;

    damaged_build(&fixture,
                  "DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step = 30;"
                  "DELETE FROM reports WHERE run = 'b' AND layer = 'x' AND step = 10");
    CHECK_EQ(damaged_get(&fixture, "a", "x", 30, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "a", "x", -1, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 31, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(damaged_get(&fixture, "b", "x", 10, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "b", "x", 30, NULL), TRIT_OK);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a", .layer = "x"},
                          &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(
        damaged_list(&fixture,
                     (struct store_query){.run = "a", .layer = "x", .newest_first = true},
                     &count, NULL),
        TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "b", .layer = "x"},
                          &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture,
                          (struct store_query){.run = "b", .newest_first = true}, &count,
                          NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(
        damaged_list(&fixture, (struct store_query){.latest_only = true}, &count, NULL),
        TRIT_DATA_LOSS);
    store_fixture_fini(&fixture);
}

/* A key that damage made another: neither is believed. */
CASE(moved_report, "a report whose key was changed is DATA_LOSS")
{
    struct store_fixture fixture;
    unsigned count;

    damaged_build(&fixture, "UPDATE reports SET step = 25"
                            " WHERE run = 'a' AND layer = 'x' AND step = 20");
    CHECK_EQ(damaged_get(&fixture, "a", "x", 20, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 25, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a"}, &count, NULL),
             TRIT_DATA_LOSS);
    check_others(&fixture);
    store_fixture_fini(&fixture);
}

/* A report that nobody filed, with the CRC of another. */
CASE(forged_report, "a row that the daemon did not write is DATA_LOSS")
{
    struct store_fixture fixture;
    unsigned count;

    damaged_build(
        &fixture,
        "INSERT INTO reports SELECT sequence + 100, run, layer, replica, attempt, 15,"
        " previous, time_unix_ns, digest, question, report, crc FROM reports"
        " WHERE run = 'a' AND layer = 'x' AND step = 20");
    CHECK_EQ(damaged_get(&fixture, "a", "x", 15, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a"}, &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 20, NULL), TRIT_OK);
    check_others(&fixture);
    store_fixture_fini(&fixture);
}

/* Other types and NULLs, which SQLite lets stand in any column. */
CASE(wrong_types, "values of a wrong type and NULLs are DATA_LOSS")
{
    static const char *const damages[] = {
        "UPDATE reports SET crc = NULL WHERE step = 20 AND run = 'a' AND layer = 'x'",
        "UPDATE reports SET crc = 'crc' WHERE step = 20 AND run = 'a' AND layer = 'x'",
        "UPDATE reports SET previous = NULL WHERE step = 20 AND run = 'a' AND layer = "
        "'x'",
        "UPDATE reports SET question = NULL WHERE step = 20 AND run = 'a' AND layer = "
        "'x'",
        "UPDATE reports SET report = 'text' WHERE step = 20 AND run = 'a' AND layer = "
        "'x'",
        "UPDATE reports SET digest = x'' WHERE step = 20 AND run = 'a' AND layer = 'x'",
        "UPDATE reports SET time_unix_ns = 0.5 WHERE step = 20 AND run = 'a'"
        " AND layer = 'x'",
    };

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct store_fixture fixture;
        struct failure failure;

        damaged_build(&fixture, damages[i]);
        damaged_get(&fixture, "a", "x", 20, &failure);
        check_names(&failure, "report of run \"a\", layer \"x\", step 20: ");
        check_others(&fixture);
        store_fixture_fini(&fixture);
    }
}

/* ---- layers ------------------------------------------------------------------------ */

enum { ROWS = 5 }; /* of layers, and the totals */

static int64_t crcs(struct store_fixture *fixture)
{
    CHECK_EQ(store_sql(fixture, "SELECT COUNT(*) FROM layers"), ROWS - 1);
    return store_sql(fixture, "SELECT SUM(crc * (rowid + 1)) FROM (SELECT crc, "
                              "ROW_NUMBER() OVER (ORDER BY run, layer) AS rowid FROM "
                              "layers UNION ALL SELECT crc, 99 FROM totals)");
}

/* Each of these is damage that the reports can undo. */
static void check_made_again(const char *damage)
{
    struct store_fixture fixture;
    unsigned count;

    damaged_build(&fixture, "SELECT 1");
    store_fixture_close_store(&fixture);
    const int64_t before = crcs(&fixture);

    store_sql(&fixture, damage);
    damaged_open(&fixture);
    if (crcs(&fixture) != before)
        check_failed(__FILE__, __LINE__, "%s: other rows", damage);
    for (int64_t step = 10; step <= 30; step += 10)
        CHECK_EQ(damaged_get(&fixture, "a", "x", step, NULL), TRIT_OK);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){0}, &count, NULL), TRIT_OK);
    CHECK_EQ(count, 12);
    CHECK_EQ(damaged_runs(&fixture, &count), TRIT_OK);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 40, true, NULL), TRIT_OK);
    check_undamaged(&fixture);
    store_fixture_fini(&fixture);
}

CASE(damaged_layer,
     "a damaged row of a layer is made again from its reports at the start")
{
    check_made_again("UPDATE layers SET reports = 2 WHERE run = 'a' AND layer = 'x'");
    check_made_again("UPDATE layers SET upload = 1 WHERE run = 'a' AND layer = 'x'");
    check_made_again("UPDATE layers SET step_max = 20 WHERE run = 'a' AND layer = 'x'");
    check_made_again("UPDATE layers SET crc = NULL WHERE run = 'a' AND layer = 'x'");
    check_made_again("UPDATE layers SET previous_run = 'q', time_unix_ns = 1, crc = 1");
}

CASE(lost_layer, "a missing or moved row of a layer is made again from its reports")
{
    check_made_again("DELETE FROM layers WHERE run = 'a' AND layer = 'x'");
    check_made_again("DELETE FROM layers WHERE run = 'b' AND layer = 'x'");
    check_made_again("UPDATE layers SET layer = 'w' WHERE run = 'a' AND layer = 'x'");
}

CASE(lost_run, "a run of one attempt whose row is damaged gets it again")
{
    check_made_again("UPDATE runs SET state = 1");
    check_made_again("UPDATE runs SET crc = 1 WHERE run = 'a'");
    check_made_again("UPDATE runs SET attempts = zeroblob(18) WHERE run = 'a'");
}

CASE(lost_totals, "damaged totals are made again")
{
    check_made_again("UPDATE totals SET layers = 3");
    check_made_again("UPDATE totals SET last_layer = 'a', schema_crc = 0");
}

/* Without its past nothing shows that there was no later report. */
static void check_layer_lost(const char *damage)
{
    struct store_fixture fixture;
    struct failure failure;
    unsigned count;

    damaged_build(&fixture, damage);
    damaged_get(&fixture, "a", "x", 20, &failure);
    check_names(&failure, "layer \"x\" of run \"a\": ");
    CHECK_EQ(damaged_get(&fixture, "a", "x", -1, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a", .layer = "x"},
                          &count, NULL),
             TRIT_DATA_LOSS);
    damaged_list(&fixture, (struct store_query){.run = "a", .latest_only = true}, &count,
                 &failure);
    check_names(&failure, "layers of run \"a\"");
    CHECK_EQ(damaged_list(&fixture, (struct store_query){0}, &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(
        damaged_list(&fixture, (struct store_query){.newest_first = true}, &count, NULL),
        TRIT_DATA_LOSS);
    CHECK_EQ(damaged_runs(&fixture, &count), TRIT_DATA_LOSS);
    check_others(&fixture);
    damaged_file(&fixture, "a", "x", 40, true, &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 40: not stored: ");
    CHECK_EQ(damaged_file(&fixture, "a", "y", 40, true, NULL), TRIT_OK);
    CHECK_EQ(damaged_file(&fixture, "c", "new", 1, true, NULL), TRIT_OK);
    store_fixture_fini(&fixture);
}

CASE(hidden_layer,
     "a row of a layer that cannot be made again is DATA_LOSS for its queries, "
     "lists and puts")
{
    check_layer_lost("UPDATE layers SET reports = 2, crc = 1"
                     " WHERE run = 'a' AND layer = 'x'; DELETE FROM pasts");
    check_layer_lost("UPDATE layers SET step_max = 40, crc = 1"
                     " WHERE run = 'a' AND layer = 'x'; DELETE FROM pasts");
    check_layer_lost("DELETE FROM layers WHERE run = 'a' AND layer = 'x';"
                     "DELETE FROM pasts");
    check_layer_lost("DELETE FROM layers WHERE run = 'a' AND layer = 'x';"
                     "DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND step = 30");
}

CASE(lost_last_layer,
     "missing rows of the last layers are DATA_LOSS, and their codes are kept")
{
    struct store_fixture fixture;
    unsigned count;

    damaged_build(&fixture, "DELETE FROM layers WHERE run = 'b'");
    CHECK_EQ(damaged_get(&fixture, "b", "x", 10, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "b", "y", -1, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "c", "x", -1, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "b"}, &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_runs(&fixture, &count), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "a", "y", -1, NULL), TRIT_OK);
    /* Nothing is swept on such grounds: the codes of b's layers are still there. */
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM codes"), 4);
    store_fixture_fini(&fixture);
}

CASE(hidden_totals,
     "totals that cannot be made again make only lists of all layers and new "
     "layers fail")
{
    struct store_fixture fixture;
    unsigned count;

    damaged_build(&fixture, "UPDATE totals SET layers = 3, crc = 1");
    CHECK_EQ(damaged_runs(&fixture, &count), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a"}, &count, NULL),
             TRIT_OK);
    CHECK_EQ(count, 6);
    CHECK_EQ(damaged_get(&fixture, "b", "y", -1, NULL), TRIT_OK);
    CHECK_EQ(damaged_get(&fixture, "b", "z", -1, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_file(&fixture, "b", "y", 40, true, NULL), TRIT_OK);
    CHECK_EQ(damaged_file(&fixture, "a", "new", 1, true, NULL), TRIT_DATA_LOSS);
    store_fixture_fini(&fixture);
}

/* A column that another definition made a number would compare otherwise. */
CASE(damaged_definitions, "a changed SQL schema is refused at open")
{
    struct store_fixture fixture;
    struct failure failure = {0};

    damaged_build(&fixture, "SELECT 1");
    store_fixture_close_store(&fixture);
    store_sql(&fixture, "PRAGMA writable_schema = ON;"
                        "UPDATE sqlite_master SET sql = replace(sql, 'TEXT', 'TEYT')"
                        " WHERE name = 'reports'");
    CHECK(store_fixture_open_store(&fixture, &failure) == -1);
    check_names(&failure, "definitions");
    store_fixture_fini(&fixture);
}
