/* SPDX-License-Identifier: Apache-2.0 */
/* Queries that go on beside rows of layers and runs that are damaged and cannot be made again. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/run_health.h"
#include "tests/lib/check.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_sql.h"

/* Nothing shows that the newest report of these layers is there. */
#define LOSE(which)                                                                      \
    "DELETE FROM pasts; UPDATE layers SET reports = 2, crc = 1 WHERE " which

static void check_all(const char *damage, const char *all, const char *latest)
{
    struct store_fixture fixture;

    damaged_build(&fixture, damage);
    check_beside(&fixture, (struct store_query){.run = ""}, 100, all);
    check_beside(&fixture, (struct store_query){.latest_only = true}, 100, latest);
    store_fixture_fini(&fixture);
}

CASE(named_once,
     "a layer whose row is damaged is named once, at its newest step, and a list "
     "has all other layers")
{
    check_all(LOSE("run = 'a' AND layer = 'x'"),
              "a/x/30! a/y/10 a/y/20 a/y/30 b/x/10 b/x/20 b/x/30 b/y/10 b/y/20 b/y/30",
              "a/x/30! a/y/30 b/x/30 b/y/30");
    check_all(LOSE("run = 'a' AND layer = 'y'"),
              "a/x/10 a/x/20 a/x/30 a/y/30! b/x/10 b/x/20 b/x/30 b/y/10 b/y/20 b/y/30",
              "a/x/30 a/y/30! b/x/30 b/y/30");
    check_all(LOSE("run = 'b' AND layer = 'y'"),
              "a/x/10 a/x/20 a/x/30 a/y/10 a/y/20 a/y/30 b/x/10 b/x/20 b/x/30 b/y/30!",
              "a/x/30 a/y/30 b/x/30 b/y/30!");
    check_all(LOSE("layer = 'x' OR run = 'a'"),
              "a/x/30! a/y/30! b/x/30! b/y/10 b/y/20 b/y/30",
              "a/x/30! a/y/30! b/x/30! b/y/30");
    check_all(LOSE("1"), "a/x/30! a/y/30! b/x/30! b/y/30!",
              "a/x/30! a/y/30! b/x/30! b/y/30!");
}

CASE(missing_rows,
     "a layer whose row is missing is named where its reports, or the row after "
     "it, show that it was there")
{
    check_all("DELETE FROM pasts; DELETE FROM layers WHERE run = 'a' AND layer = 'y';"
              " DELETE FROM reports WHERE run = 'a' AND layer = 'y' AND step = 30",
              "a/x/10 a/x/20 a/x/30 a/y/20! b/x/10 b/x/20 b/x/30 b/y/10 b/y/20 b/y/30",
              "a/x/30 a/y/20! b/x/30 b/y/30");
    check_all("DELETE FROM layers WHERE run = 'a' AND layer = 'y';"
              " DELETE FROM reports WHERE run = 'a' AND layer = 'y'",
              "a/x/10 a/x/20 a/x/30 a/y/9223372036854775807! b/x/10 b/x/20 b/x/30 b/y/10 "
              "b/y/20 b/y/30",
              "a/x/30 a/y/9223372036854775807! b/x/30 b/y/30");
}

CASE(of_one,
     "a list of one run or one layer goes on beside damaged rows, and names none that "
     "it does not ask for")
{
    struct store_fixture fixture;

    damaged_build(&fixture, LOSE("run = 'b' AND layer = 'x'"));
    check_beside(&fixture, (struct store_query){.run = "a"}, 100,
                 "a/x/10 a/x/20 a/x/30 a/y/10 a/y/20 a/y/30");
    check_beside(&fixture, (struct store_query){.run = "b"}, 100,
                 "b/x/30! b/y/10 b/y/20 b/y/30");
    check_beside(&fixture, (struct store_query){.run = "a", .layer = "y"}, 100,
                 "a/y/10 a/y/20 a/y/30");
    check_beside(&fixture, (struct store_query){.run = "b", .layer = "x"}, 100,
                 "b/x/30!");
    check_beside(&fixture, (struct store_query){.run = "b", .layer = "x", .step_to = 25},
                 100, "b/x/20!");
    check_beside(&fixture,
                 (struct store_query){.run = "b", .layer = "x", .newest_first = true},
                 100, "b/x/30!");
    check_beside(&fixture, (struct store_query){.run = "b", .layer = "y"}, 100,
                 "b/y/10 b/y/20 b/y/30");
    check_beside(&fixture, (struct store_query){.run = "b", .replica = 1}, 100, "");
    check_beside(&fixture, (struct store_query){.run = "b", .attempt = 2}, 100, "");
    store_fixture_fini(&fixture);
}

CASE(pages, "a page that ended at a damaged row goes on behind it")
{
    const struct store_key row = {.run = "b", .layer = "x", .step = 30};
    const struct store_key before = {.run = "a", .layer = "y", .step = 20};
    struct store_fixture fixture;

    damaged_build(&fixture, LOSE("run = 'b' AND layer = 'x'"));
    for (int latest = 0; latest < 2; latest++)
        check_beside(&fixture,
                     (struct store_query){.after = &row, .latest_only = latest > 0}, 100,
                     latest ? "b/y/30" : "b/y/10 b/y/20 b/y/30");
    check_beside(&fixture, (struct store_query){.after = &before}, 100,
                 "a/y/30 b/x/30! b/y/10 b/y/20 b/y/30");
    check_beside(&fixture, (struct store_query){.run = "b"}, 1, "b/x/30!");
    store_fixture_fini(&fixture);
}

/* The lists of a layer, the newest first. */
static void check_down(const char *damage, uint64_t to, const char *expected)
{
    struct store_fixture fixture;

    damaged_build(&fixture, damage);
    check_beside(&fixture,
                 (struct store_query){
                     .run = "a", .layer = "x", .step_to = to, .newest_first = true},
                 100, expected);
    store_fixture_fini(&fixture);
}

#define SPOIL(which)                                                                     \
    "UPDATE reports SET digest = x'00' WHERE run = 'a' AND layer = 'x' AND " which
#define DROP(which) "DELETE FROM reports WHERE run = 'a' AND layer = 'x' AND " which

CASE(newest_first,
     "a list of a layer with the newest first names what is damaged or missing")
{
    check_down("SELECT 1", 0, "a/x/30 a/x/20 a/x/10");
    check_down(SPOIL("step = 30"), 0, "a/x/30! a/x/20 a/x/10");
    check_down(SPOIL("step = 20"), 0, "a/x/30 a/x/20! a/x/10");
    check_down(SPOIL("step = 10"), 0, "a/x/30 a/x/20 a/x/10!");
    check_down(SPOIL("step <= 20"), 0, "a/x/30 a/x/20!");
    check_down(SPOIL("step > 0"), 0, "a/x/30!");
    check_down(DROP("step = 30"), 0, "a/x/30! a/x/20 a/x/10");
    check_down(DROP("step = 20"), 0, "a/x/30 a/x/20! a/x/10");
    check_down(DROP("step = 10"), 0, "a/x/30 a/x/20 a/x/10!");
    check_down(DROP("step > 0"), 0, "a/x/30!");
    check_down("SELECT 1", 25, "a/x/20 a/x/10");
    check_down(SPOIL("step = 30"), 25, "a/x/25! a/x/20 a/x/10");
    check_down(SPOIL("step = 20"), 25, "a/x/20! a/x/10");
    check_down(SPOIL("step = 20"), 20, "a/x/20! a/x/10");
    check_down(DROP("step = 20"), 25, "a/x/20! a/x/10");
}

/* ---- sums ----------------------------------------------------------------------------- */

struct runs {
    char text[128];
};

static bool take_run(void *arg, const struct store_run_info *info)
{
    struct runs *runs = arg;
    const size_t length = strlen(runs->text);

    snprintf(runs->text + length, sizeof(runs->text) - length, "%s:%u/%u/%u ", info->run,
             (unsigned)info->layers, (unsigned)info->reports, (unsigned)info->damaged);
    return true;
}

static void check_sums(const char *damage, const char *expected, unsigned warnings)
{
    struct store_fixture fixture;
    struct failure failure = {0};
    struct store_run_health health;
    struct store_run_info info;
    struct store_reader *reader;
    struct runs runs = {""};

    damaged_build(&fixture, damage);
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    if (store_read_runs(reader, take_run, &runs, &failure) ||
        store_read_run(reader, "a", 0, &info, &failure) ||
        store_read_run_health(reader, "a", 0, &health, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    CHECK_STR(runs.text, expected);
    CHECK_EQ(info.damaged, warnings);
    CHECK_EQ(health.layers[TRIT_HEALTH_WARNING], warnings);
    CHECK_EQ(health.layers[TRIT_HEALTHY], 2 - warnings);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

CASE(sums,
     "sums have all runs and layers, and tell how many rows are damaged; the health of "
     "such a layer is a warning")
{
    check_sums("SELECT 1", "a:2/6/0 b:2/6/0 ", 0);
    check_sums(LOSE("run = 'a' AND layer = 'x'"), "a:2/3/1 b:2/6/0 ", 1);
    check_sums(LOSE("run = 'a'"), "a:2/0/2 b:2/6/0 ", 2);
    check_sums(LOSE("run = 'b'"), "a:2/6/0 b:2/0/2 ", 0);
}

CASE(lost_run, "a damaged row of a run hides no other run, neither in sums nor in lists")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct failure failure = {0};
    struct runs runs = {""};

    damaged_build(&fixture, "UPDATE runs SET attempts = x'00', crc = 1 WHERE run = 'a'");
    check_beside(&fixture, (struct store_query){.run = ""}, 100,
                 "a/x/30! a/y/30! b/x/10 b/x/20 b/x/30 b/y/10 b/y/20 b/y/30");
    check_beside(&fixture, (struct store_query){.latest_only = true}, 100,
                 "a/x/30! a/y/30! b/x/30 b/y/30");
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    CHECK_EQ(store_read_runs(reader, take_run, &runs, &failure), 0);
    CHECK_STR(runs.text, "a:2/0/2 b:2/6/0 ");
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

static bool count_filed(void *arg, uint64_t sequence, const struct trit_report *report)
{
    (void)report;
    *(uint64_t *)arg = sequence;
    return true;
}

CASE(filed_of_lost_run,
     "a report whose run's row is damaged is named by its number in the "
     "order of filing, and hides none of another run")
{
    struct store_fixture fixture;
    struct failure failure = {0};
    struct store_reader *reader;
    uint64_t last = 0;

    damaged_build(&fixture, "UPDATE runs SET attempts = x'00', crc = 1 WHERE run = 'a'");
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    CHECK_EQ(store_read_since(reader, NULL, 0, 100, count_filed, &last, &failure), -1);
    check_names(&failure,
                "filed as number 1: report of run \"a\", layer \"x\", step 10: ");
    CHECK_EQ(last, 0);
    failure = (struct failure){0};
    CHECK_EQ(store_read_since(reader, NULL, 2, 100, count_filed, &last, &failure), -1);
    check_names(&failure, "filed as number 5: ");
    CHECK_EQ(last, 4);
    failure = (struct failure){0};
    CHECK_EQ(store_read_since(reader, "b", 0, 100, count_filed, &last, &failure), 0);
    CHECK_EQ(last, 12);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

/* ---- the history ---------------------------------------------------------------------- */

CASE(history,
     "the history of a run has its other layers, and a mark for a layer whose row is "
     "damaged")
{
    const struct store_history_query query = {
        .run = "a", .to = UINT64_MAX, .fields = 1u << STORE_ZERO_FRACTION};
    struct store_fixture fixture;
    struct store_history history;
    struct store_reader *reader;
    struct failure failure = {0};

    damaged_build(&fixture, LOSE("run = 'a' AND layer = 'x'"));
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    if (store_read_history(reader, &query, &history, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    CHECK_EQ(history.layer_count, 2);
    CHECK_EQ(history.column_count, 3);
    CHECK_STR(history.layers[0].name, "x");
    CHECK_EQ(history.layers[0].health, TRIT_HEALTH_WARNING);
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(history.steps[i], 10 * (i + 1));
        CHECK_EQ(history.layers[0].damaged[i], i == 2);
        CHECK(isnan(history.layers[0].values[STORE_ZERO_FRACTION][i]));
        CHECK(!history.layers[1].damaged[i]);
        CHECK(!isnan(history.layers[1].values[STORE_ZERO_FRACTION][i]));
    }
    store_history_fini(&history);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}
