/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting what is damaged: afterwards nothing of it is left, and nothing is damaged. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_sql.h"

static void must_delete(struct store_fixture *fixture, const char *run, const char *layer,
                        uint64_t from, uint64_t to, uint64_t reports, const char *damage)
{
    struct failure failure;
    const uint64_t deleted = damaged_delete(fixture, run, layer, from, to, &failure);

    if (failure.status != TRIT_OK || deleted != reports)
        check_failed(__FILE__, __LINE__, "%s: %d reports, %d %s", damage, (int)deleted,
                     failure.status, failure.message);
}

/* ---- one report ------------------------------------------------------------ */

/* Of (a, x), whose steps are 10, 20 and 30. The other two stay, and more can be filed. */
static void check_step(const char *damage, uint64_t step)
{
    struct store_fixture fixture;
    struct failure failure;
    unsigned count;

    damaged_build(&fixture, damage);
    must_delete(&fixture, "a", "x", step, step, !strstr(damage, "DELETE FROM reports"),
                damage);
    for (uint64_t other = 10; other <= 30; other += 10) {
        damaged_get(&fixture, "a", "x", (int64_t)other, &failure);
        if (failure.status != (other == step ? TRIT_NOT_FOUND : TRIT_OK))
            check_failed(__FILE__, __LINE__, "%s: step %d: %s", damage, (int)other,
                         failure.message);
    }
    damaged_list(&fixture, (struct store_query){.run = "a", .layer = "x"}, &count,
                 &failure);
    if (failure.status != TRIT_OK || count != 2)
        check_failed(__FILE__, __LINE__, "%s: %s", damage, failure.message);
    CHECK_EQ(damaged_file(&fixture, "a", "x", step, true, NULL), TRIT_OK);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 40, true, NULL), TRIT_OK);
    check_others(&fixture);
    check_undamaged(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT reports FROM layers"
                                 " WHERE run = 'a' AND layer = 'x'"),
             4);
    store_fixture_fini(&fixture);
}

CASE(one_report, "a damaged or missing report can be deleted, and filed again")
{
    static const char *const damages[] = {
        "UPDATE reports SET digest = zeroblob(32) WHERE %s",
        "UPDATE reports SET crc = NULL WHERE %s",
        "UPDATE reports SET previous = 'x' WHERE %s",
        "DELETE FROM reports WHERE %s",
        "UPDATE reports SET report = zeroblob(9) WHERE %s;"
        "UPDATE kept SET upload = 1 WHERE sequence = 5; UPDATE pasts SET crc = 1"
        " WHERE run = 'a' AND layer = 'x'",
    };

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
        for (int step = 10; step <= 30; step += 10) {
            char row[64], sql[512];

            snprintf(row, sizeof(row), "run = 'a' AND layer = 'x' AND step = %d", step);
            const char *at = strstr(damages[i], "%s");

            snprintf(sql, sizeof(sql), "%.*s%s%s", (int)(at - damages[i]), damages[i],
                     row, at + 2);
            check_step(sql, (uint64_t)step);
        }
}

CASE(neighbour, "a report beside a damaged one can be deleted, and the damaged one stays")
{
    struct store_fixture fixture;
    struct failure failure;

    for (uint64_t step = 10; step <= 30; step += 20) {
        damaged_build(&fixture, "UPDATE reports SET digest = zeroblob(32)"
                                " WHERE run = 'a' AND layer = 'x' AND step = 20");
        must_delete(&fixture, "a", "x", step, step, 1, "beside");
        CHECK_EQ(damaged_get(&fixture, "a", "x", (int64_t)step, NULL),
                 step == 10 ? TRIT_DATA_LOSS : TRIT_NOT_FOUND);
        damaged_get(&fixture, "a", "x", 20, &failure);
        check_names(&failure, "step 20");
        CHECK_EQ(damaged_get(&fixture, "a", "x", 40 - (int64_t)step, NULL), TRIT_OK);
        must_delete(&fixture, "a", "x", 20, 20, 1, "then");
        check_undamaged(&fixture);
        store_fixture_fini(&fixture);
    }
}

CASE(hole, "a missing report stays DATA_LOSS also if no row names it any more")
{
    struct store_fixture fixture;

    damaged_build(&fixture, "DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND"
                            " step = 20;"
                            "UPDATE reports SET digest = zeroblob(32) WHERE run = 'a'"
                            " AND layer = 'x' AND step = 30");
    CHECK_EQ(damaged_file(&fixture, "a", "x", 40, true, NULL), TRIT_OK);
    must_delete(&fixture, "a", "x", 30, 30, 1, "after a hole");
    CHECK_EQ(damaged_get(&fixture, "a", "x", 30, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 20, NULL), TRIT_DATA_LOSS);
    CHECK_EQ(damaged_get(&fixture, "a", "x", 10, NULL), TRIT_OK);
    must_delete(&fixture, "a", "x", 11, 29, 0, "the hole");
    CHECK_EQ(damaged_get(&fixture, "a", "x", 20, NULL), TRIT_NOT_FOUND);
    check_undamaged(&fixture);
    store_fixture_fini(&fixture);
}

/* ---- a layer, a run -------------------------------------------------------- */

static void check_whole(const char *layer, uint64_t reports, const char *damage)
{
    struct store_fixture fixture;

    damaged_build(&fixture, damage);
    must_delete(&fixture, "a", layer, 0, UINT64_MAX, reports, damage);
    CHECK_EQ(damaged_get(&fixture, "a", "x", -1, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(damaged_get(&fixture, "b", "x", 20, NULL), TRIT_OK);
    CHECK_EQ(damaged_file(&fixture, "a", "x", 5, true, NULL), TRIT_OK);
    check_undamaged(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 12 - reports + 1);
    damaged_open(&fixture);
    check_undamaged(&fixture);
    /* What was kept of them is gone after a start. */
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM codes WHERE upload NOT IN"
                                 " (SELECT upload FROM kept)"),
             0);
    store_fixture_fini(&fixture);
}

CASE(a_layer, "a damaged layer can be deleted, whatever is damaged of it")
{
    check_whole("x", 3, "UPDATE reports SET crc = 1 WHERE run = 'a' AND layer = 'x'");
    check_whole("x", 3,
                "UPDATE layers SET reports = 2, crc = 1 WHERE run = 'a'"
                " AND layer = 'x'; DELETE FROM pasts WHERE run = 'a' AND layer = 'x'");
    check_whole("x", 3,
                "UPDATE layers SET reports = 2, crc = 1 WHERE run = 'a'"
                " AND layer = 'x'; DELETE FROM pasts WHERE run = 'a' AND layer = 'x';"
                "UPDATE reports SET step = 'text' WHERE sequence = 1");
    check_whole("x", 3,
                "UPDATE kept SET crc = 1 WHERE sequence IN"
                " (SELECT sequence FROM reports WHERE run = 'a' AND layer = 'x')");
}

CASE(a_run, "a damaged run can be deleted, whatever is damaged of it")
{
    check_whole("", 6, "UPDATE runs SET attempts = x'', crc = 1 WHERE run = 'a'");
    check_whole("", 6, "DELETE FROM runs WHERE run = 'a'");
    check_whole("", 6,
                "UPDATE layers SET upload = 7, crc = 1 WHERE run = 'a';"
                "UPDATE reports SET report = x'00' WHERE run = 'a';"
                "DELETE FROM pasts WHERE run = 'a'; DELETE FROM history");
    check_whole("", 6,
                "UPDATE reports SET layer = 'other' WHERE run = 'a' AND step = 20 AND"
                " layer = 'y'; UPDATE runs SET crc = 'text'");
}

CASE(some_steps, "a layer whose row cannot be made again is deleted as a whole only; the "
                 "message says so")
{
    struct store_fixture fixture;
    struct failure failure;

    damaged_build(&fixture, "UPDATE layers SET reports = 2, crc = 1 WHERE run = 'a'"
                            " AND layer = 'x'; DELETE FROM pasts");
    damaged_delete(&fixture, "a", "x", 10, 20, &failure);
    check_names(&failure, "delete the layer as a whole");
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 12);
    must_delete(&fixture, "a", "y", 10, 20, 2, "beside it");
    check_names(&failure, "layer \"x\", run \"a\"");
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
