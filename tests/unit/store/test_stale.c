/* SPDX-License-Identifier: Apache-2.0 */
/* A layer without a report for long is told to be stale wherever its newest report is read. */
#include <stdio.h>
#include <string.h>

#include "store/run_health.h"
#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"

static const int64_t second = 1000000000;
static const int64_t begin = 1700000000000000000;

struct world {
    struct store_fixture fixture;
    struct store_reader *reader;
    struct trit_report report; /* the last that was read */
    char told[512];            /* "LAYER/REPLICA@SECONDS " of each that is stale */
    unsigned count, count_max; /* calls of take */
};

static void world_init(struct world *w)
{
    *w = (struct world){.count_max = 100};
    store_fixture_init(&w->fixture, true);
    CHECK(store_reader_open(&w->reader, w->fixture.store, NULL) == 0);
}

static void world_fini(struct world *w)
{
    store_reader_close(w->reader);
    store_fixture_fini(&w->fixture);
}

/* Files a report at each step, one a second. */
static void file_steps(struct world *w, const char *layer, uint32_t replica,
                       uint32_t attempt, uint64_t from, uint64_t to)
{
    for (uint64_t step = from; step <= to; step++) {
        struct trit_report report;
        struct fixture_put put;

        fixture_report(&report, "run", layer, step, (unsigned)(step + attempt), 64, 128,
                       128);
        report.attempt = attempt;
        report.replica = replica;
        report.time_unix_ns = begin + (int64_t)step * second;
        report.zeros = 2000;
        fixture_put(&w->fixture, &put, &report, NULL, 0);
        CHECK_EQ(put.put.failure.status, TRIT_OK);
    }
}

/* How the report says that its layer is stale: "" or the severity. */
static const char *staleness(const struct trit_report *report)
{
    for (uint64_t i = 0; i < report->health_reason_count; i++)
        if (strcmp(report->health_reasons[i].rule, "stale") == 0)
            return report->health_reasons[i].severity == TRIT_HEALTH_FAILING ? "failing"
                                                                             : "warning";
    return "";
}

static const char *get(struct world *w, struct store_get get, int64_t at)
{
    struct failure failure = {0};

    get.run = "run";
    get.layer = get.layer ? get.layer : "a";
    get.now_unix_ns = begin + at * second;
    if (store_read_report(w->reader, &get, &w->report, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return staleness(&w->report);
}

static bool take_listed(void *arg, const struct trit_report *report)
{
    struct world *w = arg;

    if (staleness(report)[0])
        snprintf(w->told + strlen(w->told), sizeof(w->told) - strlen(w->told), "%s/%d ",
                 report->layer, (int)report->step);
    return true;
}

static const char *list(struct world *w, struct store_query query, int64_t at)
{
    struct failure failure = {0};

    query.step_to = UINT64_MAX;
    query.limit = 1000;
    query.now_unix_ns = begin + at * second;
    w->told[0] = '\0';
    if (store_read_reports(w->reader, &query, take_listed, w, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return w->told;
}

CASE(newest, "the newest report of a layer says that the layer is stale, others do not")
{
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 1, 30);
    CHECK_STR(get(&w, (struct store_get){0}, 89), "");
    CHECK_EQ(w.report.health, TRIT_HEALTHY);
    CHECK_STR(get(&w, (struct store_get){0}, 91), "warning");
    CHECK_EQ(w.report.health, TRIT_HEALTH_WARNING);
    CHECK_EQ(w.report.health_reasons[0].since_step, 30);
    CHECK_EQ((int)w.report.health_reasons[0].value, 61);
    CHECK_STR(get(&w, (struct store_get){.has_step = true, .step = 30}, 91), "warning");
    CHECK_STR(get(&w, (struct store_get){.has_step = true, .step = 29}, 91), "");
    world_fini(&w);
}

CASE(not_asked, "without a time the report is as it was filed")
{
    const struct store_get key = {.run = "run", .layer = "a"};
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 1, 30);
    CHECK(store_read_report(w.reader, &key, &w.report, NULL) == 0);
    CHECK_EQ(w.report.health_reason_count, 0);
    world_fini(&w);
}

CASE(lists, "lists of newest reports and of all reports say so of the newest only")
{
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 1, 30);
    file_steps(&w, "b", 0, 0, 1, 60);
    file_steps(&w, "c", 0, 0, 30, 30); /* one report: no interval is known */
    CHECK_STR(list(&w, (struct store_query){.latest_only = true}, 89), "");
    CHECK_STR(list(&w, (struct store_query){.latest_only = true}, 100), "a/30 ");
    CHECK_STR(list(&w, (struct store_query){.run = "run"}, 100), "a/30 ");
    CHECK_STR(list(&w, (struct store_query){.run = "run", .layer = "b"}, 200), "b/60 ");
    CHECK_STR(list(&w, (struct store_query){.newest_first = true}, 200), "b/60 a/30 ");
    world_fini(&w);
}

CASE(attempts, "after a rewind, the newest report of the lineage says so")
{
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 1, 30);
    file_steps(&w, "b", 0, 0, 1, 30);
    file_steps(&w, "a", 0, 2, 21, 25);
    CHECK_STR(list(&w, (struct store_query){.run = "run"}, 200), "a/25 b/20 ");
    CHECK_STR(list(&w, (struct store_query){.latest_only = true}, 200), "a/25 b/20 ");
    CHECK_STR(get(&w, (struct store_get){.attempt = 1}, 200), "");
    CHECK_EQ(w.report.step, 30);
    CHECK_STR(get(&w, (struct store_get){.layer = "b"}, 200), "warning");
    CHECK_EQ(w.report.step, 20);
    CHECK_STR(list(&w, (struct store_query){.run = "run", .attempt = 1}, 200), "b/20 ");
    world_fini(&w);
}

/* ---- which layers became stale ------------------------------------------------------ */

static bool take_stale(void *arg, int64_t since_unix_ns, const struct trit_report *report)
{
    struct world *w = arg;

    CHECK(staleness(report)[0]);
    snprintf(w->told + strlen(w->told), sizeof(w->told) - strlen(w->told), "%s/%d@%d ",
             report->layer, (int)report->replica,
             (int)((since_unix_ns - begin) / second));
    w->report = *report;
    return ++w->count < w->count_max;
}

static const char *stale(struct world *w, const char *run, int64_t after, int64_t now,
                         const struct store_key *last)
{
    const struct store_stale_query query = {.run = run,
                                            .after_unix_ns = begin + after * second,
                                            .now_unix_ns = begin + now * second,
                                            .after = last};
    struct failure failure = {0};

    w->told[0] = '\0';
    w->count = 0;
    if (store_read_stale(w->reader, &query, take_stale, w, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return w->told;
}

CASE(became,
     "a search over a span of time gives the layers that became stale in it, so each "
     "is told once")
{
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 1, 30);
    file_steps(&w, "a", 2, 0, 1, 40);
    file_steps(&w, "b", 0, 0, 1, 50);
    CHECK_STR(stale(&w, "run", 0, 89, NULL), "");
    CHECK_STR(stale(&w, "run", 0, 90, NULL), "a/0@90 ");
    CHECK_STR(stale(&w, "run", 89, 109, NULL), "a/0@90 a/2@100 ");
    CHECK_STR(stale(&w, "run", 90, 109, NULL), "a/2@100 ");
    CHECK_STR(stale(&w, NULL, 90, 500, NULL), "a/2@100 b/0@110 ");
    CHECK_STR(stale(&w, "other", 0, 500, NULL), "");
    file_steps(&w, "a", 0, 0, 31, 31);
    CHECK_STR(stale(&w, "", 0, 90, NULL), "");
    CHECK_STR(stale(&w, "", 0, 91, NULL), "a/0@91 ");
    world_fini(&w);
}

CASE(paged, "a search that was stopped goes on after the last report")
{
    struct store_key last = {.run = "run", .layer = "a"};
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 1, 30);
    file_steps(&w, "a", 1, 0, 1, 30);
    file_steps(&w, "b", 0, 0, 1, 30);
    file_steps(&w, "a", 0, 2, 31, 32);
    w.count_max = 1;
    CHECK_STR(stale(&w, NULL, 0, 500, NULL), "a/0@92 ");
    CHECK_STR(stale(&w, NULL, 0, 500, &last), "a/1@90 ");
    last.replica = 1;
    CHECK_STR(stale(&w, NULL, 0, 500, &last), "b/0@90 ");
    strcpy(last.layer, "b");
    CHECK_STR(stale(&w, NULL, 0, 500, &last), "");
    world_fini(&w);
}

static bool take_health(void *arg, const struct store_layer_health *health)
{
    *(struct store_layer_health *)arg = *health;
    return true;
}

CASE(of_runs, "the health of a run and its layers has staleness, and since when")
{
    struct store_layer_health layer;
    struct store_run_health run;
    struct world w;

    world_init(&w);
    file_steps(&w, "a", 0, 0, 1, 60);
    file_steps(&w, "a", 3, 0, 1, 30);
    CHECK(store_read_layer_health(w.reader, "run", begin + 89 * second, take_health,
                                  &layer, NULL) == 0);
    CHECK_EQ(layer.health, TRIT_HEALTHY);
    CHECK(layer.stale_ns == INT64_MIN);
    CHECK(store_read_layer_health(w.reader, "run", begin + 95 * second, take_health,
                                  &layer, NULL) == 0);
    CHECK_EQ(layer.health, TRIT_HEALTH_WARNING);
    CHECK_EQ(layer.replica, 3);
    CHECK_EQ((layer.stale_ns - begin) / second, 90);
    CHECK(store_read_run_health(w.reader, "run", begin + 200 * second, &run, NULL) == 0);
    CHECK_EQ(run.health, TRIT_HEALTH_WARNING);
    CHECK_EQ((run.stale_ns - begin) / second, 120);
    world_fini(&w);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
