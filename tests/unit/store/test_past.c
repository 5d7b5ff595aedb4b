/* SPDX-License-Identifier: Apache-2.0 */
/* The row of a layer's past is not written for each report. In the end it is what it would
 * be if it were. */
#include "store/past.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/history.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_sql.h"

static void file(struct store_fixture *fixture, uint64_t step)
{
    struct trit_report report;
    struct fixture_put put;

    fixture_report(&report, "run", "a", step, (unsigned)step, 64, 128, 128);
    report.time_unix_ns = 1700000000000000000 + (int64_t)step * 1000000000;
    report.has_scales = true;
    report.zeros = 2000 + step % 7;
    report.zero_groups = step % 11 == 10 ? 60 : 0;
    report.scale_mean = 0.5 + (double)(step % 5) / 100;
    report.scale_max = 0.75F;
    fixture_put(fixture, &put, &report, NULL, 0);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
}

/* Another connection commits, so the writer forgets its cache, as after a crash. */
static void forget_cache(const struct store_fixture *fixture)
{
    store_sql(fixture, "UPDATE totals SET layers = layers");
}

static int64_t row_crc(const struct store_fixture *fixture)
{
    return store_sql(fixture, "SELECT crc FROM pasts");
}

struct deletion {
    struct store_change change;
    bool done;
};

static void change_done(struct store_change *change)
{
    ((struct deletion *)(void *)change)->done = true;
}

static bool is_done(void *deletion)
{
    return ((struct deletion *)deletion)->done;
}

/* Deletes steps 0 to `to`. */
static void erase(struct store_fixture *fixture, uint64_t to)
{
    struct deletion deletion = {
        .change = {.run = "run", .layer = "a", .step_to = to, .done = change_done}};
    struct failure failure = {0};

    CHECK(store_delete(&deletion.change, fixture->store, &failure) == 0);
    loop_run_until(fixture->loop, is_done, &deletion);
    CHECK_EQ(deletion.change.failure.status, TRIT_OK);
}

/* Steps are filed in this order; then those up to `erased` are deleted. */
struct plan {
    size_t count;
    uint64_t (*step)(size_t i);
    int64_t erased; /* -1: none */
};

/* The rows after all was filed and the store is closed, as one number. The cache is
 * forgotten after each `forget`-th report; 0: never. */
static int64_t rows_of(const struct plan *plan, size_t forget)
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    for (size_t i = 0; i < plan->count; i++) {
        file(&fixture, plan->step(i));
        if (forget && i % forget == forget - 1)
            forget_cache(&fixture);
    }
    if (plan->erased >= 0)
        erase(&fixture, (uint64_t)plan->erased);
    store_fixture_close_store(&fixture);
    const int64_t rows = store_sql(&fixture, "SELECT (SELECT SUM(crc) FROM history) * 31"
                                             " + (SELECT crc FROM pasts)");

    store_fixture_fini(&fixture);
    return rows;
}

static void check_plan(const struct plan *plan)
{
    static const size_t forgets[] = {0, 2, 5, 9, 21};
    const int64_t wanted = rows_of(plan, 1); /* each report is written */

    for (size_t i = 0; i < sizeof(forgets) / sizeof(forgets[0]); i++)
        CHECK_EQ(rows_of(plan, forgets[i]), wanted);
}

static uint64_t in_order(size_t i)
{
    return i;
}

/* Each fourth step comes three reports later. */
static uint64_t some_late(size_t i)
{
    return i % 4 == 3 ? i - 3 : i + 1;
}

CASE(lag, "the row is written for one report of PAST_LAG")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    file(&fixture, 0);
    const int64_t first = row_crc(&fixture);

    for (uint64_t step = 1; step < PAST_LAG; step++)
        file(&fixture, step);
    CHECK_EQ(row_crc(&fixture), first);
    file(&fixture, PAST_LAG);
    CHECK(row_crc(&fixture) != first);
    store_fixture_fini(&fixture);
}

CASE(same_rows, "reports that the row on disk lacks are added when it is read")
{
    check_plan(&(const struct plan){.count = 60, .step = in_order, .erased = -1});
    check_plan(&(const struct plan){.count = 5, .step = in_order, .erased = -1});
}

CASE(older,
     "reports that the row on disk lacks are added also if they came in another order")
{
    check_plan(&(const struct plan){.count = 60, .step = some_late, .erased = -1});
}

CASE(erased, "a deletion first adds to the row on disk the reports that it lacks")
{
    check_plan(&(const struct plan){.count = 23, .step = in_order, .erased = 20});
    check_plan(&(const struct plan){.count = 6, .step = in_order, .erased = 3});
}

/* ---- damage -------------------------------------------------------------------------- */

static uint64_t even(size_t i)
{
    return 2 * i;
}

/* The columns of the history, and how many of them lack damaged reports; `first` is the first
 * one that does. */
struct seen {
    size_t columns, damaged;
    uint64_t first;
};

static void look(const struct store_fixture *fixture, uint64_t every, struct seen *seen)
{
    const struct store_history_query query = {
        .run = "run", .to = UINT64_MAX, .every = every, .fields = 1};
    struct store_history history = {0};
    struct failure failure = {0};
    struct store_reader *reader;

    *seen = (struct seen){.first = UINT64_MAX};
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    if (store_read_history(reader, &query, &history, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    seen->columns = history.column_count;
    for (size_t i = 0; i < history.column_count; i++) {
        if (!history.layers[0].damaged[i])
            continue;
        seen->first = seen->damaged++ ? seen->first : history.steps[i];
        CHECK(history.layers[0].column_health[i] >= TRIT_HEALTH_WARNING);
        if (every == 1)
            CHECK(isnan(history.layers[0].values[STORE_ZERO_FRACTION][i]));
    }
    store_history_fini(&history);
    store_reader_close(reader);
}

/* Files a report. Whether its health says that data of the layer is damaged. */
static bool tells_damage(struct store_fixture *fixture, uint64_t step)
{
    struct trit_report report;
    struct fixture_put put;

    fixture_report(&report, "run", "a", step, (unsigned)step, 64, 128, 128);
    fixture_put(fixture, &put, &report, NULL, 0);
    if (put.put.failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
    for (uint32_t i = 0; i < put.report.health_reason_count; i++)
        if (strcmp(put.report.health_reasons[i].rule, "data_damaged") == 0)
            return put.report.health >= TRIT_HEALTH_WARNING;
    return false;
}

static void fill_even(struct store_fixture *fixture, size_t count)
{
    store_fixture_init_fast(fixture);
    for (size_t i = 0; i < count; i++)
        file(fixture, even(i));
}

static void damage_step(const struct store_fixture *fixture, uint64_t step)
{
    char text[160];

    snprintf(text, sizeof(text),
             "UPDATE reports SET time_unix_ns = 1 WHERE step = %" PRIu64, step);
    store_sql(fixture, text);
}

CASE(newest_damaged,
     "a layer takes reports behind damaged ones that its past on disk lacks, "
     "and the next report's health says so")
{
    struct store_fixture fixture;
    struct seen seen;

    fill_even(&fixture, 6); /* the row on disk knows step 0 */
    damage_step(&fixture, 8);
    damage_step(&fixture, 10);
    look(&fixture, 1, &seen);
    CHECK_EQ(seen.columns, 5);
    CHECK_EQ(seen.first, 10);
    CHECK(tells_damage(&fixture, 12));
    CHECK(!tells_damage(&fixture, 14));
    for (size_t i = 8; i < 40; i++)
        file(&fixture, even(i));
    look(&fixture, 1, &seen);
    CHECK_EQ(seen.columns, 39);
    CHECK_EQ(seen.damaged, 1);
    CHECK_EQ(seen.first, 10);
    look(&fixture, 16, &seen);
    CHECK_EQ(seen.damaged, 1);
    CHECK_EQ(seen.first, 0);
    store_fixture_fini(&fixture);
}

/* `sql` damages what is kept of the layer beside its reports. */
static void check_made_again(size_t count, const char *sql)
{
    struct store_fixture fixture;
    struct seen seen;

    fill_even(&fixture, count);
    store_sql(&fixture, sql);
    for (size_t i = count; i < count + 17; i++)
        tells_damage(&fixture, even(i));
    look(&fixture, 1, &seen);
    CHECK_EQ(seen.columns, count + 17);
    CHECK_EQ(seen.damaged, 0);
    store_fixture_fini(&fixture);
}

CASE(made_again, "a damaged or lost row of the past or of the history is made again from "
                 "the reports")
{
    check_made_again(5, "UPDATE pasts SET state = zeroblob(2000)");
    check_made_again(5, "DELETE FROM pasts");
    check_made_again(70, "UPDATE pasts SET crc = crc + 1");
    check_made_again(70, "UPDATE history SET cells = zeroblob(64) WHERE level = 1");
    check_made_again(70, "DELETE FROM history WHERE level = 1");
    check_made_again(70, "DELETE FROM history");
}

/* Reports of even steps, of which one is damaged, in a store of schema 6. */
static void check_migrated(size_t count, uint64_t damaged)
{
    struct failure failure = {0};
    struct store_fixture fixture;
    struct seen seen;

    fill_even(&fixture, count);
    store_fixture_close_store(&fixture);
    damage_step(&fixture, damaged);
    store_sql(&fixture, "PRAGMA user_version = 6");
    if (store_fixture_open_store(&fixture, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    file(&fixture, even(count));
    file(&fixture, damaged > 4 ? damaged - 5 : damaged + 5);
    for (size_t i = count + 1; i < count + 40; i++)
        file(&fixture, even(i));
    look(&fixture, 1, &seen);
    CHECK_EQ(seen.columns, count + 41);
    CHECK_EQ(seen.damaged, 1);
    CHECK_EQ(seen.first, damaged);
    look(&fixture, 64, &seen);
    CHECK_EQ(seen.damaged, 1);
    store_fixture_fini(&fixture);
}

CASE(damaged,
     "a layer with a damaged report takes reports, and its history marks the gap")
{
    check_migrated(12, 6);
    check_migrated(60, 10);
    check_migrated(400, 300);
    check_migrated(12, 0);
}

CASE(erased_beside_damage, "reports beside a damaged one can be deleted")
{
    struct store_fixture fixture;
    struct seen seen;

    fill_even(&fixture, 40);
    damage_step(&fixture, 50);
    erase(&fixture, 20);
    file(&fixture, 80);
    look(&fixture, 1, &seen);
    CHECK_EQ(seen.columns, 30);
    store_fixture_fini(&fixture);
}
