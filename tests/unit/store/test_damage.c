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
    unsigned count, rows;

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
    CHECK_EQ(damaged_runs(&fixture, &count, &rows), TRIT_OK);
    CHECK_EQ(rows, 0);
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
    unsigned count, rows;

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
    CHECK_EQ(damaged_runs(&fixture, &count, &rows), TRIT_OK);
    CHECK_EQ(rows, 0);
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
    unsigned count, rows;

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
    CHECK_EQ(damaged_runs(&fixture, &count, &rows), TRIT_OK);
    CHECK_EQ(count, 2);
    CHECK_EQ(rows, 1);
    check_others(&fixture);
    damaged_file(&fixture, "a", "x", 40, true, &failure);
    check_names(&failure, "report of run \"a\", layer \"x\", step 40: not stored: ");
    CHECK_EQ(damaged_file(&fixture, "a", "y", 40, true, NULL), TRIT_OK);
    CHECK_EQ(damaged_file(&fixture, "c", "new", 1, true, NULL), TRIT_OK);
    store_fixture_fini(&fixture);
}

CASE(hidden_layer,
     "a row of a layer that cannot be made again is DATA_LOSS for its queries, "
     "lists and puts; sums of runs tell of it")
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
    unsigned count, rows;

    damaged_build(&fixture, "DELETE FROM layers WHERE run = 'b'");
    CHECK_EQ(damaged_get(&fixture, "b", "x", 10, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "b", "y", -1, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "c", "x", -1, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "b"}, &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_runs(&fixture, &count, &rows), TRIT_OK);
    CHECK_EQ(count, 2);
    CHECK_EQ(rows, 2);
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
    unsigned count, rows;

    damaged_build(&fixture, "UPDATE totals SET layers = 3, crc = 1");
    CHECK_EQ(damaged_list(&fixture, (struct store_query){0}, &count, NULL),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged_runs(&fixture, &count, &rows), TRIT_OK);
    CHECK_EQ(count, 2);
    CHECK_EQ(rows, 0);
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
