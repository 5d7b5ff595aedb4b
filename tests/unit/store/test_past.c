/* SPDX-License-Identifier: Apache-2.0 */
/* The row of a layer's past is not written for each report. In the end it is what it would
 * be if it were. */
#include "store/past.h"

#include <inttypes.h>
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

CASE(older, "also where reports come in another order")
{
    check_plan(&(const struct plan){.count = 60, .step = some_late, .erased = -1});
}

CASE(erased, "reports that are deleted before they were written are added first")
{
    check_plan(&(const struct plan){.count = 23, .step = in_order, .erased = 20});
    check_plan(&(const struct plan){.count = 6, .step = in_order, .erased = 3});
}

/* ---- a damaged report when the rows are made ------------------------------------------ */

static uint64_t even(size_t i)
{
    return 2 * i;
}

/* The history from a step on, with one column a step. -1: DATA_LOSS that names `begins`. */
static int64_t columns_from(const struct store_fixture *fixture, uint64_t from,
                            uint64_t every, uint64_t begins)
{
    const struct store_history_query query = {
        .run = "run", .from = from, .to = UINT64_MAX, .every = every, .fields = 1};
    struct store_history history = {0};
    struct failure failure = {0};
    struct store_reader *reader;
    char step[48];
    int64_t result = -1;

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    if (store_read_history(reader, &query, &history, &failure) == 0) {
        result = (int64_t)history.column_count;
    } else {
        snprintf(step, sizeof(step), "begins at step %" PRIu64, begins);
        CHECK_EQ(failure.status, TRIT_DATA_LOSS);
        if (!strstr(failure.message, step))
            check_failed(__FILE__, __LINE__, "%s", failure.message);
    }
    store_history_fini(&history);
    store_reader_close(reader);
    return result;
}

/* Reports of even steps, of which that of `damaged` is damaged, in a store of schema 6. */
static void migrate_damaged(struct store_fixture *fixture, size_t count, uint64_t damaged)
{
    struct failure failure = {0};
    char text[160];

    store_fixture_init_fast(fixture);
    for (size_t i = 0; i < count; i++)
        file(fixture, even(i));
    store_fixture_close_store(fixture);
    snprintf(text, sizeof(text),
             "UPDATE reports SET time_unix_ns = 1 WHERE step = %" PRIu64
             "; PRAGMA user_version = 6",
             damaged);
    store_sql(fixture, text);
    if (store_fixture_open_store(fixture, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

static void check_migrated(size_t count, uint64_t damaged)
{
    const uint64_t last = even(count - 1);
    const int64_t intact = (int64_t)(last - damaged) / 2;
    struct store_fixture fixture;

    migrate_damaged(&fixture, count, damaged);
    CHECK_EQ(columns_from(&fixture, damaged + 2, 1, 0), intact);
    CHECK_EQ(columns_from(&fixture, 0, 1, damaged + 2), -1);
    CHECK_EQ(columns_from(&fixture, 0, 64, damaged + 2), -1);
    file(&fixture, last + 2);
    file(&fixture, damaged + 3); /* late, but known */
    file(&fixture, damaged > 4 ? damaged - 5 : damaged + 5);
    CHECK(columns_from(&fixture, damaged + 2, 1, 0) >= intact + 2);
    CHECK_EQ(columns_from(&fixture, 0, 1, damaged + 2), -1);
    for (uint64_t step = last + 4; step < last + 80; step += 2)
        file(&fixture, step);
    CHECK_EQ(columns_from(&fixture, 0, 1, damaged + 2), -1);
    CHECK_EQ(columns_from(&fixture, last, 1, 0), 40);
    store_fixture_fini(&fixture);
}

CASE(
    damaged,
    "a layer with a damaged report takes reports, and its history begins behind that one")
{
    check_migrated(12, 6);
    check_migrated(60, 10);
    check_migrated(400, 300);
    check_migrated(12, 0);
}
