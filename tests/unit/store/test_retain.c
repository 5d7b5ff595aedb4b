/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of retention, and the bound of codes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

enum { CODES_BYTES = 1024 };

static struct fixture_put put;

static void file_at(struct store_fixture *fixture, const char *layer, uint64_t step,
                    int64_t time_unix_ns)
{
    static uint8_t codes[CODES_BYTES];
    struct trit_report report;

    fixture_report(&report, "r", layer, step, (unsigned)step, 1, 4 * CODES_BYTES, 128);
    report.time_unix_ns = time_unix_ns;
    fixture_put(fixture, &put, &report, codes, sizeof(codes));
    if (put.put.failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
}

static void file(struct store_fixture *fixture, const char *layer, uint64_t step)
{
    file_at(fixture, layer, step, clock_unix_ns());
}

static void begin(struct store_fixture *fixture, const char *rules)
{
    struct failure failure = {0};

    store_fixture_init_fast(fixture);
    if (store_retention_add(&fixture->retention, rules, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

static void damaged(void *arg, const char *message)
{
    (void)arg;
    check_failed(__FILE__, __LINE__, "%s", message);
}

static void check_data(struct store_fixture *fixture)
{
    struct store_counts counts;

    CHECK(store_check(fixture->directory, damaged, NULL, &counts, NULL) == 0);
    CHECK_EQ(counts.damaged, 0);
}

/* A pass runs when the store opens. It is over when no report is left that its rules
 * delete. Leaves the store closed. */
static void pass(struct store_fixture *fixture, int64_t stay)
{
    store_fixture_close_store(fixture);
    CHECK(store_fixture_open_store(fixture, NULL) == 0);
    while (store_sql(fixture,
                     "PRAGMA busy_timeout = 5000; SELECT COUNT(*) FROM reports") > stay)
        ;
    store_fixture_close_store(fixture);
    check_data(fixture);
}

CASE(parsed, "rules are read, and what is no rule is refused by name")
{
    static const char *const wrong[] = {"age",     "age=3",      "age=0d",   "age=3y",
                                        "count=x", "count=1K",   "bytes=",   "thin=100",
                                        "thin=:3", "thin=100:0", "count=0",  "x=1",
                                        "age=dd",  "bytes=1X",   "thin=1:x", "count=-1"};
    struct store_retention rules = {0};
    struct failure failure = {0};

    CHECK(store_retention_add(&rules, "age=30d,count=1000", &failure) == 0);
    CHECK(store_retention_add(&rules, "bytes=10G,thin=100:10,bytes=1MiB", &failure) == 0);
    CHECK_EQ(rules.count, 5);
    CHECK_EQ(rules.rules[0].value, 30ull * 86400 * 1000000000);
    CHECK_EQ(rules.rules[1].kind, STORE_RETAIN_COUNT);
    CHECK_EQ(rules.rules[2].value, 10ull << 30);
    CHECK_EQ(rules.rules[3].value, 100);
    CHECK_EQ(rules.rules[3].every, 10);
    CHECK_EQ(rules.rules[4].value, 1 << 20);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        failure = (struct failure){0};
        if (store_retention_add(&rules, wrong[i], &failure) == 0)
            check_failed(__FILE__, __LINE__, "%s was taken", wrong[i]);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        CHECK(strstr(failure.message, wrong[i]));
    }
    while (rules.count < STORE_RULES_MAX)
        CHECK(store_retention_add(&rules, "count=1", NULL) == 0);
    CHECK(store_retention_add(&rules, "count=1", NULL) == -1);
}

CASE(by_count, "of each layer the newest reports stay")
{
    struct store_fixture fixture;

    begin(&fixture, "count=3");
    for (uint64_t step = 1; step <= 9; step++) {
        file(&fixture, "x", step);
        file(&fixture, "y", step);
    }
    file(&fixture, "z", 1);
    pass(&fixture, 7);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 7);
    CHECK_EQ(store_sql(&fixture, "SELECT MIN(step) FROM reports WHERE layer = 'x'"), 7);
    store_fixture_fini(&fixture);
}

/* Files 9 reports of each of the layers a to h; damages some. Then this rule leaves so many. */
static void check_beside_damage(const char *rule, int64_t stay, const char *damage)
{
    struct store_fixture fixture;

    begin(&fixture, rule);
    const struct store_retention retention = fixture.retention;

    fixture.retention.count = 0;
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    for (uint64_t step = 1; step <= 9; step++)
        for (char layer[] = "a"; layer[0] <= 'h'; layer[0]++)
            file_at(&fixture, layer, step,
                    clock_unix_ns() - (9 - (int64_t)step) * 86400 * 1000000000);
    store_fixture_close_store(&fixture);
    store_sql(&fixture, damage);
    fixture.retention = retention;
    pass(&fixture, stay);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), stay);
    store_fixture_fini(&fixture);
}

CASE(beside_damage,
     "the rules delete damaged reports like others; then nothing is damaged")
{
    /* The first, two in a row, the last layer; one whose codes are damaged, too. */
    static const char damage[] =
        "UPDATE reports SET digest = zeroblob(32) WHERE step IN (1, 2, 5)"
        " AND layer IN ('a', 'd', 'e', 'h');"
        "UPDATE kept SET bytes = 7 WHERE sequence = 1;"
        "DELETE FROM reports WHERE step = 3 AND layer IN ('a', 'b')";

    check_beside_damage("count=3", 24, damage);
    check_beside_damage("age=60h", 24, damage);
    check_beside_damage("thin=3:9", 24, damage);
}

/* Opens the store without the rule, so that reports can be filed first. Returns the rule: the
 * caller sets fixture->retention to it. */
static struct store_retention begin_without_rule(struct store_fixture *fixture,
                                                 const char *rule)
{
    begin(fixture, rule);
    const struct store_retention retention = fixture->retention;

    store_fixture_close_store(fixture);
    fixture->codes_max = 1 << 30;
    fixture->retention.count = 0;
    CHECK(store_fixture_open_store(fixture, NULL) == 0);
    return retention;
}

CASE(bytes_beside_damage, "a damaged report does not stop the rule for bytes")
{
    struct store_fixture fixture;
    const struct store_retention retention = begin_without_rule(&fixture, "bytes=150K");

    for (uint64_t step = 1; step <= 200; step++)
        file(&fixture, step % 2 ? "x" : "y", step);
    store_fixture_close_store(&fixture);
    /* The oldest; one under another layer's name; one of no layer; one that is lost. */
    store_sql(&fixture, "UPDATE reports SET digest = zeroblob(32) WHERE step = 1;"
                        "UPDATE reports SET layer = 'y' WHERE step = 3;"
                        "UPDATE reports SET layer = 'z' WHERE step = 5;"
                        "DELETE FROM reports WHERE step = 8");
    fixture.retention = retention;
    pass(&fixture, 150);
    CHECK(store_sql(&fixture, "SELECT COUNT(*) FROM reports") > 10);
    store_fixture_fini(&fixture);
}

CASE(newest_first,
     "the rule for bytes deletes what was filed first, also the newest step")
{
    struct store_fixture fixture;
    const struct store_retention retention = begin_without_rule(&fixture, "bytes=150K");

    for (uint64_t step = 120; step > 0; step--)
        file(&fixture, "x", step);
    fixture.retention = retention;
    pass(&fixture, 100);
    CHECK_EQ(store_sql(&fixture, "SELECT MIN(step) FROM reports"), 1);
    store_fixture_fini(&fixture);
}

CASE(by_age, "old reports are deleted, and layers that have no others")
{
    const int64_t day = 86400ll * 1000000000, now = clock_unix_ns();
    struct store_fixture fixture;

    begin(&fixture, "age=30d");
    for (int i = 5; i >= 0; i--)
        file_at(&fixture, "x", (uint64_t)(10 - i), now - 10 * i * day);
    file_at(&fixture, "y", 1, now - 31 * day);
    pass(&fixture, 3);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 3);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM layers"), 1);
    store_fixture_fini(&fixture);
}

CASE(by_thinning, "behind the newest reports every n-th step stays")
{
    struct store_fixture fixture;

    begin(&fixture, "thin=10:10");
    for (uint64_t step = 1; step <= 55; step++)
        file(&fixture, "x", step);
    file(&fixture, "y", 7);
    pass(&fixture, 15);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports WHERE layer = 'x'"), 14);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports WHERE step < 46 AND"
                                 " step % 10 <> 0 AND layer = 'x'"),
             0);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports WHERE layer = 'y'"), 1);
    store_fixture_fini(&fixture);
}

CASE(by_bytes, "the oldest reports are deleted until the store is small enough")
{
    struct store_fixture fixture;

    begin(&fixture, "bytes=150K");
    fixture.codes_max = 1 << 30;
    store_fixture_close_store(&fixture);
    fixture.retention.count = 0;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    for (uint64_t step = 1; step <= 200; step++)
        file(&fixture, step % 2 ? "x" : "y", step);
    fixture.retention.count = 1;
    pass(&fixture, 150);
    CHECK(store_sql(&fixture, "SELECT COUNT(*) FROM reports") > 10);
    CHECK_EQ(
        store_sql(&fixture, "SELECT MAX(step) - MIN(step) + 1 - COUNT(*) FROM reports"),
        0);
    CHECK_EQ(store_sql(&fixture, "SELECT MAX(step) FROM reports"), 200);
    store_fixture_fini(&fixture);
}

CASE(many, "a pass of several steps comes to its end")
{
    struct store_fixture fixture;

    begin(&fixture, "thin=5:1000,count=400");
    for (uint64_t step = 1; step <= 1500; step++)
        file(&fixture, "x", step);
    for (uint64_t step = 1; step <= 700; step++)
        file(&fixture, "y", step);
    pass(&fixture, 11);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 11);
    store_fixture_fini(&fixture);
}

CASE(goes_on,
     "after old reports were deleted a layer takes reports, new ones and old ones")
{
    struct store_fixture fixture;

    begin(&fixture, "count=20");
    for (uint64_t step = 1000; step < 1512; step++)
        file(&fixture, "x", step);
    pass(&fixture, 20);
    fixture.retention.count = 0;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    for (uint64_t step = 1512; step < 1800; step++)
        file(&fixture, "x", step);
    store_fixture_close_store(&fixture);
    check_data(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    file(&fixture, "x", 1100);
    file(&fixture, "x", 7);
    file(&fixture, "x", 1800);
    store_fixture_close_store(&fixture);
    check_data(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT reports FROM layers"), 20 + 288 + 3);
    store_fixture_fini(&fixture);
}

/* ---- codes ----------------------------------------------------------------- */

static int64_t kept(struct store_fixture *fixture)
{
    return store_sql(fixture, "PRAGMA busy_timeout = 5000; SELECT COUNT(*) FROM kept");
}

static void wait_kept(struct store_fixture *fixture, int64_t count)
{
    while (kept(fixture) > count)
        ;
}

CASE(codes_bound,
     "the oldest codes are deleted beyond their bound, never the newest of a "
     "layer")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    store_fixture_close_store(&fixture);
    fixture.codes_max = 4 * CODES_BYTES;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    file(&fixture, "old", 1);
    for (uint64_t step = 1; step <= 9; step++)
        file(&fixture, "x", step);
    wait_kept(&fixture, 4);
    CHECK_EQ(kept(&fixture), 4);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM kept JOIN reports USING (sequence)"
                                 " WHERE layer = 'old' OR step > 6"),
             4);
    file(&fixture, "old", 2);
    CHECK(put.report.has_previous);
    store_fixture_close_store(&fixture);
    check_data(&fixture);
    fixture.codes_max = 0;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    wait_kept(&fixture, 2);
    CHECK_EQ(kept(&fixture), 2);
    store_sql_until_uploads(&fixture, 2);
    file(&fixture, "x", 10);
    CHECK(put.report.has_previous);
    store_fixture_fini(&fixture);
}

CASE(codes_beside_damage, "codes of a damaged report stay, and do not keep all others")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 3; step++)
        file(&fixture, "x", step);
    store_fixture_close_store(&fixture);
    store_sql(&fixture, "UPDATE reports SET digest = zeroblob(32) WHERE step = 1");
    fixture.codes_max = 2 * CODES_BYTES;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    for (uint64_t step = 4; step <= 9; step++)
        file(&fixture, "x", step);
    wait_kept(&fixture, 2);
    CHECK_EQ(kept(&fixture), 2);
    store_fixture_fini(&fixture);
}

CASE(measured, "the gauges tell size, codes, and the oldest and newest report")
{
    const int64_t second = 1000000000;
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    store_fixture_close_store(&fixture);
    fixture.codes_max = 1 << 20;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    file_at(&fixture, "x", 1, 1000 * second);
    file_at(&fixture, "x", 2, 2000 * second);
    store_fixture_close_store(&fixture);
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_OLDEST), 1000);
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_NEWEST), 2000);
    CHECK_EQ(metric_get(fixture.metrics, M_STORE_CODES_BYTES), 2 * CODES_BYTES);
    CHECK(metric_get(fixture.metrics, M_STORE_BYTES) > 0);
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
