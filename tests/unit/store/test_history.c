/* SPDX-License-Identifier: Apache-2.0 */
/* The history of a run, and the health of its layers, are those of its reports. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cells.h"
#include "store/run_health.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_fixture.h"

struct world {
    struct store_fixture fixture;
    struct store_reader *reader;
    struct store_history history;
    struct store_run_health run;
};

static void open_reader(struct world *w)
{
    struct failure failure = {0};

    if (store_reader_open(&w->reader, w->fixture.store, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

static void world_init(struct world *w)
{
    *w = (struct world){0};
    store_fixture_init(&w->fixture, true);
    open_reader(w);
}

static void world_fini(struct world *w)
{
    store_history_fini(&w->history);
    store_reader_close(w->reader);
    store_fixture_fini(&w->fixture);
}

/* A report of 64 groups whose numbers depend on the step. */
static struct trit_report report_of(const char *layer, uint32_t attempt, uint64_t step)
{
    struct trit_report report;

    fixture_report(&report, "run", layer, step, (unsigned)(step + attempt), 64, 128, 128);
    report.attempt = attempt;
    report.time_unix_ns = 1700000000000000000 + (int64_t)step * 1000000000;
    report.has_scales = true;
    report.zeros = 2000 + step % 7;
    report.scale_min = 0.25F;
    report.scale_mean = 0.5 + (double)(step % 5) / 100;
    report.scale_max = 0.75F;
    return report;
}

static enum trit_health file(struct world *w, const struct trit_report *report)
{
    struct fixture_put put;

    fixture_put(&w->fixture, &put, report, NULL, 0);
    if (put.put.failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
    CHECK(put.report.health != TRIT_HEALTH_ABSENT);
    return put.report.health;
}

static void file_steps(struct world *w, const char *layer, uint32_t attempt,
                       uint64_t from, uint64_t to, uint64_t by)
{
    for (uint64_t step = from; step <= to; step += by) {
        const struct trit_report report = report_of(layer, attempt, step);

        file(w, &report);
    }
}

static const struct store_history *read(struct world *w,
                                        const struct store_history_query *query)
{
    struct failure failure = {0};

    store_history_fini(&w->history);
    if (store_read_history(w->reader, query, &w->history, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return &w->history;
}

enum { ALL = (1 << STORE_FIELDS) - 1 };

static struct store_history_query all_steps(void)
{
    return (struct store_history_query){
        .run = "run", .to = UINT64_MAX, .every = 1, .fields = ALL};
}

CASE(every_report, "with one step a column, the history has each report's numbers")
{
    struct store_history_query query = all_steps();
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 10, 3000, 10);
    file_steps(&w, "b", 0, 20, 200, 20);
    const struct store_history *history = read(&w, &query);

    CHECK_EQ(history->column_count, 300);
    CHECK_EQ(history->layer_count, 2);
    CHECK_EQ(history->attempt, 1);
    CHECK(!history->has_next);
    for (size_t i = 0; i < 300; i++) {
        const struct trit_report report = report_of("a", 1, 10 * (i + 1));
        const struct store_history_layer *a = &history->layers[0];
        const struct store_history_layer *b = &history->layers[1];

        CHECK_EQ(history->steps[i], report.step);
        CHECK(a->values[STORE_ZERO_FRACTION][i] == (double)report.zeros / 8192);
        CHECK(a->values[STORE_SCALE_MEAN][i] == report.scale_mean);
        CHECK(isnan(a->values[STORE_FLIPS][i]));
        CHECK_EQ(a->column_health[i], TRIT_HEALTHY);
        CHECK(isnan(b->values[STORE_ZERO_FRACTION][i]) == (i % 2 == 0 || i >= 20));
    }
    CHECK_STR(history->layers[1].name, "b");
    CHECK_EQ(history->layers[1].step, 200);
    world_fini(&w);
}

CASE(columns, "wider columns summarize their reports")
{
    struct store_history_query query = all_steps();
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 999, 1);
    query.every = 100;
    query.from = 100;
    query.to = 899;
    const struct store_history *history = read(&w, &query);

    CHECK_EQ(history->column_count, 8);
    for (size_t i = 0; i < 8; i++) {
        double sum = 0;

        CHECK_EQ(history->steps[i], 100 * (i + 1));
        for (uint64_t step = 100 * (i + 1); step < 100 * (i + 2); step++)
            sum += report_of("a", 1, step).scale_mean;
        CHECK(fabs(history->layers[0].values[STORE_SCALE_MEAN][i] - sum / 100) < 1e-9);
    }
    CHECK(history->exact);
    query.exact_max = 1;
    CHECK(!read(&w, &query)->exact);
    query.from = 0;
    query.to = UINT64_MAX;
    query.every = 0;
    query.columns_max = 20;
    history = read(&w, &query);
    CHECK(history->column_count > 4 && history->column_count <= 20);
    CHECK_EQ(history->every, 64);
    world_fini(&w);
}

CASE(pages, "columns beyond the largest number are those of the next query")
{
    struct store_history_query query = all_steps();
    size_t columns = 0, pages = 0;
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 990, 10);
    query.columns_max = 30;
    for (bool more = true; more; pages++) {
        const struct store_history *history = read(&w, &query);

        CHECK(history->column_count <= 30);
        columns += history->column_count;
        more = history->has_next;
        query.from = history->next;
        CHECK(pages < 10);
    }
    CHECK_EQ(columns, 100);
    CHECK_EQ(pages, 4);
    world_fini(&w);
}

CASE(layer_pages,
     "an answer ends with the layer that fills it; the next begins behind it")
{
    static const char *const names[] = {"a", "b", "c"};
    struct store_history_query query = all_steps();
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 5, 20, 5);
    file_steps(&w, "b", 0, 0, 20, 5);
    file_steps(&w, "c", 0, 0, 20, 1);
    query.every = 10;
    query.values_max = 2 * STORE_FIELDS;
    for (size_t i = 0; i < 3; i++) {
        const struct store_history *history = read(&w, &query);

        CHECK_EQ(history->layer_count, 1);
        CHECK_STR(history->layers[0].name, names[i]);
        CHECK_EQ(history->more, i < 2);
        /* Columns begin where they do for all layers together. */
        CHECK_EQ(history->column_count, 3);
        CHECK_EQ(history->steps[1], 10);
        query.after = names[i];
    }
    CHECK_EQ(read(&w, &query)->layer_count, 0);
    CHECK(!w.history.more);
    query.after = "a";
    query.values_max = 0;
    CHECK_EQ(read(&w, &query)->layer_count, 2);
    CHECK(!w.history.more);
    world_fini(&w);
}

CASE(patterns, "layers are chosen by a pattern; a wrong run or attempt is NOT_FOUND")
{
    struct store_history_query query = all_steps();
    struct failure failure = {0};
    struct world w;

    world_init(&w);
    file_steps(&w, "layers.2.up", 0, 0, 4, 1);
    file_steps(&w, "layers.10.up", 0, 0, 4, 1);
    file_steps(&w, "head", 0, 0, 4, 1);
    query.layer = "layers.*";
    CHECK_EQ(read(&w, &query)->layer_count, 2);
    query.layer = "none";
    CHECK_EQ(read(&w, &query)->layer_count, 0);
    CHECK_EQ(w.history.column_count, 0);
    query.run = "other";
    CHECK(store_read_history(w.reader, &query, &w.history, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    failure = (struct failure){0};
    query.run = "run";
    query.attempt = 2;
    CHECK(store_read_history(w.reader, &query, &w.history, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    world_fini(&w);
}

/* In an order that is not that of the steps, but the same in each run. */
static uint64_t shuffled(uint64_t i, uint64_t count)
{
    return i * 7919 % count; /* count is not a multiple of the prime */
}

CASE(any_order, "reports may come in any order of steps")
{
    enum { COUNT = 500 };
    struct store_history_query query = all_steps();
    struct world w;

    world_init(&w);
    for (uint64_t i = 0; i < COUNT; i++) {
        const struct trit_report report = report_of("a", 0, shuffled(i, COUNT));

        file(&w, &report);
    }
    const struct store_history *history = read(&w, &query);

    CHECK_EQ(history->column_count, COUNT);
    for (uint64_t step = 0; step < COUNT; step++)
        CHECK(history->layers[0].values[STORE_SCALE_MEAN][step] ==
              report_of("a", 1, step).scale_mean);
    world_fini(&w);
}

CASE(lineage, "the history of the newest attempt begins with what it resumed from")
{
    struct store_history_query query = all_steps();
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 99, 1);
    file_steps(&w, "b", 0, 0, 99, 1);
    file_steps(&w, "a", 2, 51, 60, 1);
    const struct store_history *history = read(&w, &query);

    CHECK_EQ(history->attempt, 2);
    CHECK_EQ(history->column_count, 61);
    CHECK_EQ(history->layers[0].step, 60);
    CHECK_EQ(history->layers[1].step, 50);
    query.attempt = 1;
    history = read(&w, &query);
    CHECK_EQ(history->column_count, 100);
    world_fini(&w);
}

static const struct store_run_health *read_run(struct world *w, int64_t now)
{
    struct failure failure = {0};

    if (store_read_run_health(w->reader, "run", now, &w->run, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return &w->run;
}

static const int64_t second = 1000000000;
static const int64_t begin = 1700000000000000000;

CASE(health, "a run's health is that of its worst layer")
{
    struct world w;
    struct trit_report sick = report_of("sick", 0, 30);

    world_init(&w);
    file_steps(&w, "a", 0, 0, 30, 1);
    file_steps(&w, "b", 0, 0, 30, 1);
    file_steps(&w, "sick", 0, 0, 29, 1);
    CHECK_EQ(read_run(&w, begin + 31 * second)->health, TRIT_HEALTHY);
    sick.zero_groups = 60;
    CHECK_EQ(file(&w, &sick), TRIT_HEALTH_FAILING);
    const struct store_run_health *run = read_run(&w, begin + 31 * second);

    CHECK_EQ(run->health, TRIT_HEALTH_FAILING);
    CHECK_EQ(run->layers[TRIT_HEALTHY], 2);
    CHECK_EQ(run->layers[TRIT_HEALTH_FAILING], 1);
    CHECK_EQ(run->step, 30);
    CHECK_EQ(run->time_unix_ns, begin + 30 * second);
    CHECK(run->interval_seconds == 1);
    CHECK(run->worst[STORE_ZERO_GROUPS] == 60);
    CHECK(run->worst[STORE_ZERO_GROUP_FRACTION] == 60.0 / 64);
    sick = report_of("a", 0, 31);
    sick.replica = 1;
    sick.non_finite = 3;
    file(&w, &sick);
    CHECK(read_run(&w, begin + 31 * second)->worst[STORE_NON_FINITE] == 3);
    CHECK_EQ(w.run.step, 31);
    world_fini(&w);
}

CASE(stale, "layers without a report for long are stale")
{
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 30, 1);
    CHECK_EQ(read_run(&w, begin + 89 * second)->health, TRIT_HEALTHY);
    CHECK_EQ(read_run(&w, begin + 91 * second)->health, TRIT_HEALTH_WARNING);
    world_fini(&w);
}

CASE(superseded, "what a new attempt superseded does not count for health")
{
    struct trit_report sick = report_of("a", 0, 30);
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 29, 1);
    file_steps(&w, "b", 0, 0, 30, 1);
    sick.zero_groups = 60;
    CHECK_EQ(file(&w, &sick), TRIT_HEALTH_FAILING);
    file_steps(&w, "b", 2, 21, 21, 1);
    CHECK_EQ(read_run(&w, begin + 31 * second)->health, TRIT_HEALTHY);
    /* The past goes on from step 20: a drift is noticed in the first new report. */
    sick = report_of("a", 2, 21);
    sick.scale_mean *= 10;
    CHECK_EQ(file(&w, &sick), TRIT_HEALTH_FAILING);
    world_fini(&w);
}

CASE(kept, "health is kept with the report, and told again for the same answer")
{
    struct trit_report sick = report_of("a", 0, 9), got;
    const struct store_get get = {.run = "run", .layer = "a"};
    struct failure failure = {0};
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 8, 1);
    sick.zero_groups = 60;
    CHECK_EQ(file(&w, &sick), TRIT_HEALTH_FAILING);
    CHECK_EQ(file(&w, &sick), TRIT_HEALTH_FAILING);
    CHECK(store_read_report(w.reader, &get, &got, &failure) == 0);
    CHECK_EQ(got.health, TRIT_HEALTH_FAILING);
    CHECK_STR(got.health_reasons[0].rule, "dead_groups");
    CHECK_EQ(got.health_reasons[0].since_step, 9);
    world_fini(&w);
}

/* A change that is waited for. */
struct waited {
    struct store_change change;
    bool done;
};

static void change_done(struct store_change *change)
{
    ((struct waited *)(void *)change)->done = true;
}

static bool is_done(void *waited)
{
    return ((struct waited *)waited)->done;
}

static void wait_for(struct world *w, struct waited *waited)
{
    loop_run_until(w->fixture.loop, is_done, waited);
    CHECK_EQ(waited->change.failure.status, TRIT_OK);
}

static void erase(struct world *w, uint64_t from, uint64_t to)
{
    struct waited waited = {.change = {.run = "run",
                                       .layer = "a",
                                       .step_from = from,
                                       .step_to = to,
                                       .done = change_done}};
    struct failure failure = {0};

    CHECK(store_delete(&waited.change, w->fixture.store, &failure) == 0);
    wait_for(w, &waited);
}

CASE(erased, "what is deleted is in no history, and reports can be filed after it")
{
    struct store_history_query query = all_steps();
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 699, 1);
    erase(&w, 0, 7);
    file_steps(&w, "a", 0, 3, 3, 1);
    CHECK_EQ(read(&w, &query)->column_count, 693);
    erase(&w, 0, 99);
    CHECK_EQ(read(&w, &query)->column_count, 600);
    CHECK_EQ(w.history.steps[0], 100);
    erase(&w, 300, 399);
    CHECK_EQ(read(&w, &query)->column_count, 500);
    CHECK_EQ(w.history.steps[200], 400);
    erase(&w, 600, 699);
    CHECK_EQ(read(&w, &query)->column_count, 400);
    CHECK_EQ(w.history.layers[0].step, 599);
    file_steps(&w, "a", 0, 600, 700, 1);
    CHECK_EQ(read(&w, &query)->column_count, 501);
    CHECK_EQ(read_run(&w, begin + 701 * second)->health, TRIT_HEALTHY);
    erase(&w, 0, 697);
    file_steps(&w, "a", 0, 695, 695, 1);
    CHECK_EQ(read(&w, &query)->column_count, 4);
    world_fini(&w);
}

CASE(forked, "a fork has the history and the health of the lineage that was copied")
{
    struct store_history_query query = all_steps();
    struct waited waited = {
        .change = {.run = "run", .new_run = "fork", .step = 649, .done = change_done}};
    struct trit_report sick = report_of("a", 0, 640);
    struct failure failure = {0};
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 639, 1);
    sick.zero_groups = 60;
    CHECK_EQ(file(&w, &sick), TRIT_HEALTH_FAILING);
    file_steps(&w, "a", 0, 641, 700, 1);
    CHECK(store_fork(&waited.change, w.fixture.store, &failure) == 0);
    wait_for(&w, &waited);
    query.run = "fork";
    const struct store_history *history = read(&w, &query);

    CHECK_EQ(history->column_count, 650);
    CHECK_EQ(history->layers[0].column_health[640], TRIT_HEALTH_FAILING);
    CHECK_EQ(history->layers[0].column_health[641], TRIT_HEALTHY);
    world_fini(&w);
}

CASE(reopened, "history and past survive a restart")
{
    struct store_history_query query = all_steps();
    struct failure failure = {0};
    struct world w = {0};

    store_fixture_init(&w.fixture, false);
    open_reader(&w);
    file_steps(&w, "a", 0, 0, 99, 1);
    store_reader_close(w.reader);
    store_fixture_close_store(&w.fixture);
    CHECK(store_fixture_open_store(&w.fixture, &failure) == 0);
    open_reader(&w);
    file_steps(&w, "a", 0, 100, 149, 1);
    CHECK_EQ(read(&w, &query)->column_count, 150);
    world_fini(&w);
}

/* One report in four has flips: 7, 14, 21 ... of 100 weights. Every one has a scale. */
CASE(means, "a mean over levels is that of the reports that have the field")
{
    struct cell sums[4] = {{.count = 0}}, all = {.count = 0};

    for (unsigned i = 0; i < 16; i++) {
        const bool flips = i % 4 == 3 || i >= 12;
        struct trit_report report = report_of("a", 0, i);
        struct cell cell;

        report.has_previous = flips;
        report.flips = 7 * i;
        report.flip_fraction = 0.07 * i;
        cell_of_report(&cell, &report, NAN);
        cell_add(&sums[i / 4], &cell, CELL_ALL_FIELDS);
    }
    for (unsigned i = 0; i < 4; i++)
        cell_add(&all, &sums[i], CELL_ALL_FIELDS);
    CHECK_EQ(all.count, 16);
    CHECK(fabs(all.values[STORE_FLIPS] - 7 * (3 + 7 + 11 + 12 + 13 + 14 + 15) / 7.0) <
          1e-9);
    CHECK(fabs(all.values[STORE_FLIP_FRACTION] - 0.01 * all.values[STORE_FLIPS]) < 1e-12);
}

CASE(fields, "each field has a name, and is found by it")
{
    for (int field = 0; field < STORE_FIELDS; field++)
        CHECK_EQ(store_field_by_name(store_field_name((enum store_field)field)), field);
    CHECK_EQ(store_field_by_name("none"), -1);
    CHECK(cell_worse(STORE_SQNR_DB, 10, 5) == 5);
    CHECK(cell_worse(STORE_SCALE_DRIFT, 0.1, 5) == 0.1);
    CHECK(cell_worse(STORE_ZERO_FRACTION, 0.1, NAN) == 0.1);
}
