/* SPDX-License-Identifier: Apache-2.0 */
/* Puts into a damaged store: a put does without what it can; if it needs a damaged row, it is
 * DATA_LOSS, and the others in its batch are stored. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "obs/metrics.h"
#include "store/mending.h"
#include "store/row_cache.h"
#include "store/run.h"
#include "tests/lib/check.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_sql.h"

/* ---- codes ------------------------------------------------------------------------- */

/* A put of step 40 after damage, and one of step 50 after that. */
static void check_without_flips(const char *damage)
{
    struct store_fixture fixture;
    struct fixture_put put;

    damaged_build(&fixture, damage);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 30, NULL), TRIT_OK);
    damaged_start(&fixture, &put, "a", "x", 40, true);
    fixture_put_wait(&put);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    CHECK(!put.report.has_previous);
    CHECK_EQ(put.report.health, TRIT_HEALTH_WARNING);
    CHECK_EQ(put.report.health_reason_count, 1);
    CHECK_STR(put.report.health_reasons[0].rule, "data_damaged");
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_FAILURES), 1);
    damaged_start(&fixture, &put, "a", "x", 50, true);
    fixture_put_wait(&put);
    CHECK(put.report.has_previous);
    CHECK_EQ(put.report.flips, 4 * DAMAGED_CODES_BYTES);
    CHECK_EQ(put.report.health, TRIT_HEALTHY);
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_FAILURES), 1);
    store_fixture_fini(&fixture);
}

CASE(damaged_codes, "flips are never counted from damaged codes; the report is filed "
                    "without, and the next one counts them again")
{
    check_without_flips("UPDATE codes SET data = zeroblob(600) WHERE upload ="
                        " (SELECT upload FROM layers WHERE run = 'a' AND layer = 'x')");
}

CASE(lost_codes, "flips are never counted from lost codes")
{
    check_without_flips("DELETE FROM codes WHERE upload ="
                        " (SELECT upload FROM layers WHERE run = 'a' AND layer = 'x')");
}

CASE(resumed_after_damage,
     "a new attempt takes reports where those before it are damaged")
{
    struct store_fixture fixture;
    struct trit_report report;
    struct fixture_put put;

    damaged_build(&fixture, "UPDATE reports SET time_unix_ns = 1"
                            " WHERE run = 'a' AND layer = 'x' AND step = 20");
    fixture_report(&report, "a", "x", 21, 21, 1, 4 * DAMAGED_CODES_BYTES, 128);
    report.attempt = 2;
    CHECK(fixture_put_start(&fixture, &put, &report, NULL, 0, 0) == 0);
    fixture_put_wait(&put);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    CHECK(!put.report.has_previous);
    CHECK_STR(put.report.health_reasons[0].rule, "data_damaged");
    store_fixture_fini(&fixture);
}

CASE(mended_meanwhile,
     "a put that meets a damaged row of its layer makes it again, and is "
     "stored")
{
    struct store_fixture fixture;

    damaged_build(&fixture, "SELECT 1");
    store_sql(&fixture, "UPDATE layers SET reports = 2 WHERE run = 'a' AND layer = 'x'");
    CHECK_EQ(damaged_get(&fixture, "a", "x", 30, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 40, true, NULL), TRIT_OK);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 30, NULL), TRIT_OK);
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_FAILURES), 1);
    check_undamaged(&fixture);
    store_fixture_fini(&fixture);
}

/* No put comes; `mended` yields 1 when the row is whole again. */
static void check_mended_for_readers(const char *damage, const char *mended)
{
    struct store_fixture fixture;
    unsigned count;

    damaged_build(&fixture, "SELECT 1");
    store_sql(&fixture, damage);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a"}, &count, NULL),
             TRIT_DATA_LOSS);
    store_sql_until(&fixture, mended, 1);
    CHECK_EQ(damaged_list(&fixture, (struct store_query){.run = "a"}, &count, NULL),
             TRIT_OK);
    CHECK_EQ(count, 6);
    check_undamaged(&fixture);
    store_fixture_fini(&fixture);
}

CASE(mended_for_readers,
     "a damaged row of a layer or a run that a reader meets is made again without a put")
{
    check_mended_for_readers(
        "UPDATE layers SET reports = 2 WHERE run = 'a' AND layer = 'x'",
        "SELECT reports = 3 FROM layers WHERE run = 'a' AND layer = 'x'");
    check_mended_for_readers(
        "DELETE FROM layers WHERE run = 'a' AND layer = 'x'",
        "SELECT COUNT(*) FROM layers WHERE run = 'a' AND layer = 'x'");
    check_mended_for_readers("UPDATE runs SET crc = 1 WHERE run = 'a'",
                             "SELECT crc != 1 FROM runs WHERE run = 'a'");
}

CASE(mended_though_known,
     "a damaged row of a run is made again, also where the writer knows the row")
{
    struct store_fixture fixture;
    struct failure failure = {0};
    char path[STORE_PATH_BYTES];
    struct run_row row;
    struct db db = {0};

    damaged_build(&fixture, "SELECT 1");
    store_fixture_close_store(&fixture);
    store_file(&fixture, path);
    CHECK(db_open(&db, path, DB_WRITES, &failure) == 0);
    db.cache = row_cache_create();
    CHECK(db_exec(&db, "BEGIN IMMEDIATE", &failure) == 0);
    CHECK_EQ(find_run(&db, "a", &row, &failure), 1);
    CHECK(db_exec(&db, "UPDATE runs SET crc = 1 WHERE run = 'a'", &failure) == 0);
    CHECK_EQ(layers_mend(&db, &failure), 1);
    CHECK(db_exec(&db, "COMMIT", &failure) == 0);
    db_close(&db);
    check_undamaged(&fixture);
    store_fixture_fini(&fixture);
}

/* Whether a reader's question begins the mending of all rows, which then ends. */
static bool is_asked(struct mender *mender, uint64_t now_ns)
{
    mend_asked(mender, now_ns);
    const bool begun = mender->all.stage != MENDING_DONE;

    mender->all.stage = MENDING_DONE;
    return begun;
}

CASE(pauses, "rows are mended for readers once a minute at most, and once in ten minutes "
             "after nothing could be mended")
{
    const uint64_t second = 1000000000, begin = 5 * second;
    struct mender mender = {.all = {.stage = MENDING_DONE}};

    CHECK(is_asked(&mender, begin));
    CHECK(!is_asked(&mender, begin + 600 * second - 1));
    CHECK(is_asked(&mender, begin + 600 * second));
    mender.asked.in_vain = false;
    CHECK(!is_asked(&mender, begin + 660 * second - 1));
    CHECK(is_asked(&mender, begin + 660 * second));
}

CASE(pauses_of_puts,
     "a put mends rows once a second at most, and once in ten seconds after "
     "nothing could be mended")
{
    const uint64_t second = 1000000000, begin = 5 * second;
    struct failure failure = {0}, damage = {0};
    struct store_fixture fixture;
    char path[STORE_PATH_BYTES];
    const struct trit_report report = {.run = "a", .layer = "x"};
    struct mender mender = {.all = {.stage = MENDING_DONE}};
    struct db db = {0};

    damaged_build(&fixture, "SELECT 1");
    store_fixture_close_store(&fixture);
    store_file(&fixture, path);
    CHECK(db_open(&db, path, DB_WRITES, &failure) == 0);
    fail(&damage, TRIT_DATA_LOSS, NULL, "a row is damaged");
    CHECK(!mend_met(&db, &mender, &report, &damage, begin)); /* none is */
    CHECK(db_exec(&db, "UPDATE runs SET crc = 1", &failure) == 0);
    CHECK(!mend_met(&db, &mender, &report, &damage, begin + 10 * second - 1));
    CHECK(mend_met(&db, &mender, &report, &damage, begin + 10 * second));
    CHECK(db_exec(&db, "UPDATE runs SET crc = 1", &failure) == 0);
    CHECK(!mend_met(&db, &mender, &report, &damage, begin + 11 * second - 1));
    CHECK(mend_met(&db, &mender, &report, &damage, begin + 11 * second));
    db_close(&db);
    store_fixture_fini(&fixture);
}

/* ---- a batch ----------------------------------------------------------------------- */

enum { CROWD = 48 };

/* Queued while the writer is busy with the first, every third put meets damage. */
static void check_crowd(struct store_fixture *fixture, bool codes_are_broken)
{
    static struct fixture_put puts[CROWD];
    uint64_t before = metric_get(fixture->metrics, M_REPORTS);
    unsigned filed = 0;

    for (unsigned i = 0; i < CROWD; i++) {
        bool meets = i % 3 == 1;
        char layer[16];

        snprintf(layer, sizeof(layer), meets ? "x" : "new.%u", i);
        damaged_start(fixture, &puts[i], meets ? "a" : "c", layer, 100 + i,
                      meets && codes_are_broken);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        fixture_put_wait(&puts[i]);
        if (puts[i].put.failure.status != (i % 3 == 1 ? TRIT_DATA_LOSS : TRIT_OK))
            check_failed(__FILE__, __LINE__, "put %u: %d %s", i,
                         puts[i].put.failure.status, puts[i].put.failure.message);
        filed += i % 3 != 1;
    }
    CHECK_EQ(metric_get(fixture->metrics, M_REPORTS) - before, filed);
    store_fixture_close_store(fixture);
    damaged_open(fixture);
    for (unsigned i = 0; i < CROWD; i++)
        if (i % 3 != 1)
            CHECK_EQ(damaged_get(fixture, "c", puts[i].report.layer, 100 + i, NULL),
                     TRIT_OK);
    check_others(fixture);
}

CASE(batch_with_damaged_row,
     "a put that meets a damaged row does not fail the others of its batch")
{
    struct store_fixture fixture;

    damaged_build(&fixture, "UPDATE layers SET reports = 2, crc = 1"
                            " WHERE run = 'a' AND layer = 'x'; DELETE FROM pasts");
    check_crowd(&fixture, false);
    store_fixture_fini(&fixture);
}

/* Here SQLite itself finds the damage, within the transaction, as it writes. */
CASE(batch_with_broken_table,
     "a put that meets a broken table does not fail the others of its batch")
{
    struct store_fixture fixture;
    char path[STORE_PATH_BYTES], junk[4096];

    damaged_build(&fixture, "SELECT 1");
    int64_t page =
        store_sql(&fixture, "SELECT rootpage FROM sqlite_master WHERE name = 'codes'");

    store_fixture_close_store(&fixture);
    store_file(&fixture, path);
    memset(junk, 0x5a, sizeof(junk));
    int fd = open(path, O_RDWR);

    CHECK(fd >= 0 && page > 1);
    CHECK(pwrite(fd, junk, sizeof(junk), (page - 1) * 4096) == sizeof(junk));
    close(fd);
    damaged_open(&fixture);
    check_crowd(&fixture, true);
    store_fixture_fini(&fixture);
}
