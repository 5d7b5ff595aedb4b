/* SPDX-License-Identifier: Apache-2.0 */
/* Reports go in and come out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "obs/metrics.h"
#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

static struct store_reader *open_reader(struct store_fixture *fixture)
{
    struct store_reader *reader;
    struct failure failure = {0};

    if (store_reader_open(&reader, fixture->store, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return reader;
}

/* Files an empty-coded report and insists on success. */
static void file(struct store_fixture *fixture, const char *run, const char *layer,
                 uint64_t step)
{
    struct fixture_put put;
    struct trit_report report;

    fixture_report(&report, run, layer, step, (unsigned)step, 2, 8, 4);
    fixture_put(fixture, &put, &report, NULL, 0);
    if (put.put.failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
}

static void read_back(bool in_memory)
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct fixture_put put;
    struct trit_report report, got;
    struct failure failure = {0};

    store_fixture_init(&fixture, in_memory);
    reader = open_reader(&fixture);
    fixture_report(&report, "run/1", "model.0.weight", 7, 42, 3, 130, 128);
    fixture_put(&fixture, &put, &report, NULL, 0);
    CHECK_EQ(put.put.failure.status, TRIT_OK);
    CHECK(!put.put.existed);
    CHECK(store_read_report(reader, GET("run/1", "model.0.weight", true, 7), &got,
                            &failure) == 0);
    CHECK_STR(got.run, "run/1");
    CHECK_STR(got.layer, "model.0.weight");
    CHECK_EQ(got.step, 7);
    CHECK_EQ(got.elements, 390);
    CHECK(!got.has_previous);
    CHECK_MEM(got.digest, report.digest, sizeof(got.digest));
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

CASE(on_disk, "a report in a data directory is read back unchanged")
{
    read_back(false);
}

CASE(in_memory, "a report in memory is read back unchanged")
{
    read_back(true);
}

CASE(after_reopening, "reports are found after closing and opening, up to step 2^63-1")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct trit_report got;
    struct failure failure = {0};

    store_fixture_init(&fixture, false);
    file(&fixture, "r", "l", 1);
    file(&fixture, "r", "l", INT64_MAX);
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, &failure) == 0);
    reader = open_reader(&fixture);
    CHECK(store_read_report(reader, GET("r", "l", false, 0), &got, &failure) == 0);
    CHECK_EQ(got.step, INT64_MAX);
    CHECK(store_read_report(reader, GET("r", "l", true, 1), &got, &failure) == 0);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

CASE(names_what_is_missing, "NOT_FOUND says which of run, layer and step is missing")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct trit_report got = {.step = 99};
    struct failure failure = {0};

    store_fixture_init(&fixture, true);
    reader = open_reader(&fixture);
    file(&fixture, "r", "l", 1);
    CHECK(store_read_report(reader, GET("x", "l", false, 0), &got, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    CHECK_STR(failure.message, "no run \"x\"");
    CHECK_STR(failure.field, "run");
    failure = (struct failure){0};
    CHECK(store_read_report(reader, GET("r", "y", false, 0), &got, &failure) == -1);
    CHECK_STR(failure.message, "no layer \"y\" in run \"r\"");
    CHECK_STR(failure.field, "layer");
    failure = (struct failure){0};
    CHECK(store_read_report(reader, GET("r", "l", true, UINT64_MAX), &got, &failure) ==
          -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    CHECK_STR(failure.message,
              "no report at step 18446744073709551615 of layer \"l\" in run \"r\"");
    CHECK_STR(failure.field, "step");
    CHECK_EQ(got.step, 99);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

enum { CROWD = 60 };

/* A crowd that is queued while the writer is busy shares its transactions; among
 * them are two pairs with the same key. */
CASE(group_commit, "waiting reports share a transaction, also two of the same key")
{
    static struct fixture_put puts[CROWD];
    struct store_fixture fixture;
    struct trit_report report;
    unsigned existed = 0, refused = 0;

    store_fixture_init(&fixture, false);
    for (unsigned i = 0; i < CROWD; i++) {
        unsigned step = i < CROWD - 2 ? i : i - CROWD / 2;
        unsigned digest = i == CROWD - 1 ? 7777 : step;

        fixture_report(&report, "r", "l", step, digest, 2, 8, 4);
        CHECK(fixture_put_start(&fixture, &puts[i], &report, NULL, 0, 1) == 0);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        fixture_put_wait(&puts[i]);
        existed += puts[i].put.existed;
        refused += puts[i].put.failure.status == TRIT_ALREADY_EXISTS;
    }
    CHECK_EQ(existed, 1);
    CHECK_EQ(refused, 1);
    CHECK_EQ(metric_get(fixture.metrics, M_REPORTS), CROWD - 2);
    CHECK(metric_get(fixture.metrics, M_STORE_TRANSACTIONS) < CROWD / 2);
    store_fixture_fini(&fixture);
}

CASE(queue_is_bounded, "at most queue_max puts are open")
{
    struct store_fixture fixture;
    static struct store_put puts[64];
    struct trit_report report = {0};
    struct store_put more = {.report = &report};
    struct failure failure = {0};
    size_t bytes;
    char *text;

    store_fixture_init(&fixture, true);
    for (unsigned i = 0; i < 64; i++) {
        puts[i].report = &report;
        CHECK(store_begin(&puts[i], fixture.store, &failure) == 0);
    }
    CHECK(store_begin(&more, fixture.store, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(failure.retry_ms > 0);
    text = metrics_render(fixture.metrics, false, &bytes);
    CHECK(text);
    CHECK(strstr(text, "tritd_limit_refusals_total{limit=\"store_queue\"} 1\n"));
    free(text);
    for (unsigned i = 0; i < 64; i++)
        store_abort(&puts[i]);
    store_fixture_fini(&fixture);
}

CASE(step_is_bounded, "a step beyond 2^63-1 is refused")
{
    struct store_fixture fixture;
    struct trit_report report = {.step = 1ull << 63};
    struct store_put put = {.report = &report};
    struct failure failure = {0};

    store_fixture_init(&fixture, true);
    CHECK(store_begin(&put, fixture.store, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.field, "layer.step");
    store_fixture_fini(&fixture);
}

/* The lock outlives no process, so a second open in this one stands for that. */
CASE(directory_is_locked, "a data directory can be used by one daemon only")
{
    struct store_fixture fixture, second;
    struct failure failure = {0};
    struct stat file;
    char path[FIXTURE_PATH_BYTES + 32];

    store_fixture_init(&fixture, false);
    second = fixture;
    CHECK(store_fixture_open_store(&second, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_FAILED_PRECONDITION);
    CHECK(strstr(failure.message, fixture.directory));
    snprintf(path, sizeof(path), "%s/reports.sqlite", fixture.directory);
    CHECK(stat(path, &file) == 0);
    CHECK_EQ(file.st_mode & 0777, 0600);
    store_fixture_fini(&fixture);
}

CASE(directory_stays_locked, "a data directory can be used by one daemon only, also if "
                             "somebody removes tritd.lock")
{
    struct store_fixture fixture, second;
    struct failure failure = {0};
    struct store_counts counts;
    char path[FIXTURE_PATH_BYTES + 32];

    store_fixture_init(&fixture, false);
    snprintf(path, sizeof(path), "%s/tritd.lock", fixture.directory);
    CHECK(unlink(path) == 0);
    second = fixture;
    CHECK(store_fixture_open_store(&second, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_FAILED_PRECONDITION);
    CHECK(strstr(failure.message, fixture.directory));
    CHECK(store_check(fixture.directory, NULL, NULL, &counts, &failure) == -1);
    CHECK_EQ(failure.status, TRIT_FAILED_PRECONDITION);
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, &failure) == 0);
    store_fixture_fini(&fixture);
}

/* ---- lists ------------------------------------------------------------------ */

struct listing {
    char text[1024];
    struct store_key last;
    unsigned seen, stop_after;
};

static bool list_report(void *arg, const struct trit_report *report)
{
    struct listing *listing = arg;
    size_t at = strlen(listing->text);

    snprintf(listing->text + at, sizeof(listing->text) - at, "%s/%s/%" PRIu64 " ",
             report->run, report->layer, report->step);
    listing->last = (struct store_key){.step = report->step};
    strcpy(listing->last.run, report->run);
    strcpy(listing->last.layer, report->layer);
    return ++listing->seen != listing->stop_after;
}

static const char *list(struct store_reader *reader, struct store_query query,
                        struct listing *listing)
{
    struct failure failure = {0};

    *listing = (struct listing){.stop_after = listing->stop_after};
    if (query.limit == 0)
        query.limit = 100;
    if (query.step_to == 0)
        query.step_to = UINT64_MAX;
    if (store_read_reports(reader, &query, list_report, listing, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return listing->text;
}

static bool list_run(void *arg, const struct store_run_info *info)
{
    struct listing *listing = arg;
    size_t at = strlen(listing->text);

    snprintf(listing->text + at, sizeof(listing->text) - at,
             "%s:%" PRIu64 ",%" PRIu64 ",%" PRIu64 "-%" PRIu64 " ", info->run,
             info->layers, info->reports, info->step_min, info->step_max);
    return true;
}

/* To create these files takes space, without which the next start would fail. */
CASE(keeps_log, "a store that was closed keeps its log, empty, and the log's index")
{
    struct store_fixture fixture;
    char path[STORE_PATH_BYTES + 8];
    struct stat status;

    store_fixture_init(&fixture, false);
    store_file(&fixture, path);
    const size_t length = strlen(path);

    store_fixture_close_store(&fixture);
    strcpy(path + length, "-wal");
    CHECK(stat(path, &status) == 0 && status.st_size == 0);
    strcpy(path + length, "-shm");
    CHECK(stat(path, &status) == 0 && status.st_blocks * 512 >= 32768);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    store_fixture_fini(&fixture);
}

CASE(lists, "lists are ordered, filtered, limited and paged")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct listing got = {0}, page = {0};
    struct failure failure = {0};

    store_fixture_init(&fixture, true);
    reader = open_reader(&fixture);
    CHECK_STR(list(reader, (struct store_query){0}, &got), "");
    for (uint64_t step = 3; step > 0; step--) {
        file(&fixture, "b", "x", step);
        file(&fixture, "a", "y", step);
    }
    file(&fixture, "a", "x", 9);
    CHECK_STR(list(reader, (struct store_query){0}, &got),
              "a/x/9 a/y/1 a/y/2 a/y/3 b/x/1 b/x/2 b/x/3 ");
    CHECK_STR(list(reader, (struct store_query){.run = "a"}, &got),
              "a/x/9 a/y/1 a/y/2 a/y/3 ");
    CHECK_STR(list(reader, (struct store_query){.layer = "x"}, &got),
              "a/x/9 b/x/1 b/x/2 b/x/3 ");
    CHECK_STR(list(reader, (struct store_query){.step_from = 2, .step_to = 3}, &got),
              "a/y/2 a/y/3 b/x/2 b/x/3 ");
    CHECK_STR(list(reader, (struct store_query){.latest_only = true}, &got),
              "a/x/9 a/y/3 b/x/3 ");
    CHECK_STR(list(reader, (struct store_query){.latest_only = true, .run = "a"}, &got),
              "a/x/9 a/y/3 ");
    page.stop_after = 0;
    CHECK_STR(list(reader, (struct store_query){.limit = 3}, &page),
              "a/x/9 a/y/1 a/y/2 ");
    CHECK_STR(list(reader, (struct store_query){.limit = 3, .after = &page.last}, &got),
              "a/y/3 b/x/1 b/x/2 ");
    CHECK_STR(list(reader, (struct store_query){.latest_only = true, .after = &page.last},
                   &got),
              "b/x/3 ");
    CHECK_STR(list(reader, (struct store_query){.run = "a", .after = &page.last}, &got),
              "a/y/3 ");
    CHECK_STR(list(reader, (struct store_query){.run = "b", .after = &page.last}, &got),
              "b/x/1 b/x/2 b/x/3 ");
    CHECK_STR(list(reader,
                   (struct store_query){.run = "a", .layer = "y", .after = &page.last},
                   &got),
              "a/y/3 ");
    CHECK_STR(list(reader, (struct store_query){.newest_first = true, .limit = 4}, &got),
              "b/x/3 b/x/2 b/x/1 a/y/3 ");
    CHECK_STR(list(reader,
                   (struct store_query){.newest_first = true, .after = &page.last}, &got),
              "a/y/1 a/x/9 ");
    CHECK_STR(
        list(reader,
             (struct store_query){
                 .newest_first = true, .run = "a", .layer = "y", .after = &page.last},
             &got),
        "a/y/1 ");
    CHECK_STR(
        list(reader,
             (struct store_query){.newest_first = true, .run = "b", .after = &page.last},
             &got),
        "");
    got.stop_after = 2;
    CHECK_STR(list(reader, (struct store_query){0}, &got), "a/x/9 a/y/1 ");
    got = (struct listing){0};
    CHECK(store_read_runs(reader, list_run, &got, &failure) == 0);
    CHECK_STR(got.text, "a:2,4,1-9 b:1,3,1-3 ");
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}
