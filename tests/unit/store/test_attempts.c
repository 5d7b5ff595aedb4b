/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts of a run, replicas, and the order of filing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/run.h"
#include "tests/lib/check.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

enum { CODES_BYTES = 64 };

static struct fixture_put put;

/* Files a report whose codes are all (step % 3) - 1. Its digest is that of the step. */
static enum trit_status file(struct store_fixture *fixture, const char *layer,
                             uint32_t attempt, uint32_t replica, uint64_t step)
{
    static const uint8_t all[3] = {0x00, 0x55, 0xaa};
    uint8_t codes[CODES_BYTES];
    struct trit_report report;

    memset(codes, all[step % 3], sizeof(codes));
    fixture_report(&report, "r", layer, step, (unsigned)(step + 1000 * attempt), 1,
                   4 * CODES_BYTES, 128);
    report.attempt = attempt;
    report.replica = replica;
    fixture_put(fixture, &put, &report, codes, sizeof(codes));
    return put.put.failure.status;
}

static void must_file(struct store_fixture *fixture, const char *layer, uint32_t attempt,
                      uint64_t step)
{
    if (file(fixture, layer, attempt, 0, step) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
}

/* "x1:1 x2:1 x3:2": layer, step and attempt; superseded ones have a "!". */
struct listing {
    char text[512];
};

static bool list_report(void *arg, const struct trit_report *report)
{
    struct listing *listing = arg;
    size_t at = strlen(listing->text);

    snprintf(listing->text + at, sizeof(listing->text) - at,
             "%s%s%" PRIu64 ":%" PRIu32 "%s", at ? " " : "", report->layer, report->step,
             report->attempt, report->superseded ? "!" : "");
    return true;
}

static struct store_reader *open_reader(struct store_fixture *fixture)
{
    struct store_reader *reader;

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    return reader;
}

static const char *list(struct store_fixture *fixture, struct store_query query)
{
    static struct listing listing;
    struct store_reader *reader = open_reader(fixture);
    struct failure failure = {0};

    listing.text[0] = '\0';
    query.limit = query.limit ? query.limit : 100;
    query.step_to = query.step_to ? query.step_to : UINT64_MAX;
    if (store_read_reports(reader, &query, list_report, &listing, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    store_reader_close(reader);
    return listing.text;
}

static enum trit_status get(struct store_fixture *fixture, struct store_get key,
                            struct trit_report *report)
{
    struct store_reader *reader = open_reader(fixture);
    struct failure failure = {0};

    key.run = "r";
    key.layer = key.layer ? key.layer : "x";
    store_read_report(reader, &key, report, &failure);
    store_reader_close(reader);
    return failure.status;
}

CASE(next_attempt,
     "the attempt after the newest begins at any step, and supersedes later "
     "steps of older ones")
{
    struct store_fixture fixture;
    struct trit_report report;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 4; step++)
        must_file(&fixture, "x", 0, step);
    CHECK_EQ(put.report.attempt, 1);
    must_file(&fixture, "x", 2, 3);
    CHECK_EQ(put.report.attempt, 2);
    CHECK_STR(list(&fixture, (struct store_query){.run = "r"}), "x1:1 x2:1 x3:2");
    must_file(&fixture, "x", 0, 4);
    CHECK_EQ(put.report.attempt, 2);
    CHECK_STR(list(&fixture, (struct store_query){.run = "r"}), "x1:1 x2:1 x3:2 x4:2");
    CHECK_STR(list(&fixture, (struct store_query){.run = "r", .newest_first = true}),
              "x4:2 x3:2 x2:1 x1:1");
    CHECK_STR(list(&fixture, (struct store_query){.run = "r", .layer = "x"}),
              "x1:1 x2:1 x3:2 x4:2");
    CHECK_STR(list(&fixture, (struct store_query){.run = "r", .attempt = 1}),
              "x1:1 x2:1 x3:1! x4:1!");
    CHECK_STR(list(&fixture, (struct store_query){.latest_only = true}), "x4:2");
    /* With a range: the newest in it. */
    CHECK_STR(list(&fixture, (struct store_query){.latest_only = true, .step_to = 3}),
              "x3:2");
    CHECK_STR(list(&fixture, (struct store_query){.latest_only = true, .step_to = 2}),
              "x2:1");
    CHECK_STR(list(&fixture,
                   (struct store_query){
                       .run = "r", .attempt = 1, .latest_only = true, .step_to = 3}),
              "x3:1!");
    CHECK_STR(list(&fixture, (struct store_query){.latest_only = true, .step_from = 5}),
              "");
    CHECK_EQ(get(&fixture, (struct store_get){.has_step = true, .step = 3}, &report),
             TRIT_OK);
    CHECK_EQ(report.attempt, 2);
    CHECK(!report.superseded);
    CHECK_EQ(get(&fixture, (struct store_get){.attempt = 1, .has_step = true, .step = 3},
                 &report),
             TRIT_OK);
    CHECK(report.superseded);
    CHECK_EQ(get(&fixture, (struct store_get){.attempt = 2, .has_step = true, .step = 2},
                 &report),
             TRIT_NOT_FOUND);
    CHECK_EQ(get(&fixture, (struct store_get){.attempt = 3}, &report), TRIT_NOT_FOUND);
    store_fixture_fini(&fixture);
}

CASE(layer_behind, "a layer that has not reported in the new attempt shows the steps "
                   "before it")
{
    struct store_fixture fixture;
    struct trit_report report;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 4; step++) {
        must_file(&fixture, "x", 0, step);
        must_file(&fixture, "y", 0, step);
    }
    must_file(&fixture, "x", 2, 3);
    CHECK_STR(list(&fixture, (struct store_query){.latest_only = true}), "x3:2 y2:1");
    CHECK_STR(
        list(&fixture, (struct store_query){.latest_only = true, .newest_first = true}),
        "y2:1 x3:2");
    CHECK_EQ(get(&fixture, (struct store_get){.layer = "y"}, &report), TRIT_OK);
    CHECK_EQ(report.step, 2);
    CHECK_EQ(get(&fixture, (struct store_get){.layer = "y", .has_step = true, .step = 4},
                 &report),
             TRIT_NOT_FOUND);
    store_fixture_fini(&fixture);
}

CASE(refused, "older attempts, and attempts beyond the next, are refused by name")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    CHECK_EQ(file(&fixture, "x", 2, 0, 1), TRIT_INVALID_ARGUMENT);
    CHECK_STR(put.put.failure.message,
              "layer.attempt: 2: run \"r\" has 0 attempts, so the next is 1");
    CHECK_STR(put.put.failure.field, "layer.attempt");
    must_file(&fixture, "x", 1, 5);
    must_file(&fixture, "x", 2, 5);
    CHECK_EQ(file(&fixture, "x", 1, 0, 6), TRIT_FAILED_PRECONDITION);
    CHECK_STR(
        put.put.failure.message,
        "layer.attempt: 1: run \"r\" goes on with attempt 2, and older attempts take "
        "no more reports");
    CHECK_EQ(file(&fixture, "x", 4, 0, 6), TRIT_INVALID_ARGUMENT);
    CHECK_STR(put.put.failure.message,
              "layer.attempt: 4: run \"r\" has 2 attempts, so the next is 3");
    store_fixture_fini(&fixture);
}

CASE(flips, "flips are counted since the step that the attempt resumed after")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    must_file(&fixture, "x", 0, 1);
    must_file(&fixture, "x", 0, 2);
    /* Resumed after 2: from all +1 to all -1. */
    must_file(&fixture, "x", 2, 3);
    CHECK(put.report.has_previous);
    CHECK_EQ(put.report.previous_step, 2);
    CHECK_EQ(put.report.flips, 4 * CODES_BYTES);
    must_file(&fixture, "x", 0, 6);
    CHECK_EQ(put.report.previous_step, 3);
    CHECK_EQ(put.report.flips, 0);
    store_fixture_fini(&fixture);
}

CASE(below, "reports of lower steps that name the newest attempt move its begin")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 5; step++)
        must_file(&fixture, "x", 0, step);
    must_file(&fixture, "x", 2, 5);
    CHECK_EQ(file(&fixture, "y", 0, 0, 4), TRIT_FAILED_PRECONDITION);
    CHECK_STR(put.put.failure.message,
              "layer.attempt: attempt 2 of run \"r\" goes on after step 4, so step 4 "
              "belongs to attempt 1, which takes no more reports; attempt 3 can begin "
              "there");
    must_file(&fixture, "y", 2, 4);
    CHECK_STR(list(&fixture, (struct store_query){.run = "r"}),
              "x1:1 x2:1 x3:1 x5:2 y4:2");
    store_fixture_fini(&fixture);
}

CASE(same_key, "a step of an older attempt is an equal report or ALREADY_EXISTS")
{
    struct store_fixture fixture;
    struct trit_report report;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 4; step++)
        must_file(&fixture, "x", 0, step);
    must_file(&fixture, "x", 2, 3);
    CHECK_EQ(file(&fixture, "x", 0, 0, 2), TRIT_OK);
    CHECK(put.put.existed);
    CHECK_EQ(put.report.attempt, 1);
    fixture_report(&report, "r", "x", 2, 77, 1, 4 * CODES_BYTES, 128);
    fixture_put(&fixture, &put, &report, NULL, 0);
    CHECK_EQ(put.put.failure.status, TRIT_ALREADY_EXISTS);
    store_fixture_fini(&fixture);
}

CASE(replicas, "each replica has reports of its own")
{
    struct store_fixture fixture;
    struct trit_report report;

    store_fixture_init_fast(&fixture);
    must_file(&fixture, "x", 0, 1);
    CHECK_EQ(file(&fixture, "x", 0, 2, 1), TRIT_OK);
    CHECK_EQ(file(&fixture, "x", 0, 2, 2), TRIT_OK);
    CHECK_EQ(put.report.previous_step, 1);
    CHECK_STR(list(&fixture, (struct store_query){.run = "r"}), "x1:1");
    CHECK_STR(list(&fixture, (struct store_query){.run = "r", .replica = 2}),
              "x1:1 x2:1");
    CHECK_EQ(get(&fixture, (struct store_get){.replica = 2}, &report), TRIT_OK);
    CHECK_EQ(report.step, 2);
    CHECK_EQ(report.replica, 2);
    CHECK_EQ(get(&fixture, (struct store_get){.replica = 1}, &report), TRIT_NOT_FOUND);
    store_fixture_fini(&fixture);
}

static void check_missing(struct store_fixture *fixture, struct store_get key,
                          const char *message)
{
    struct store_reader *reader = open_reader(fixture);
    struct failure failure = {0};
    struct trit_report report;

    key.run = "r";
    key.layer = "x";
    CHECK_EQ(store_read_report(reader, &key, &report, &failure), -1);
    CHECK_EQ(failure.status, TRIT_NOT_FOUND);
    CHECK_STR(failure.message, message);
    store_reader_close(reader);
}

CASE(all_superseded,
     "a layer all of whose reports are superseded is told as such, with an "
     "attempt that has some")
{
    static const char all[] =
        "all reports of layer \"x\" in run \"r\" are superseded; attempt 1 has some";
    struct store_fixture fixture;

    store_fixture_init(&fixture, true);
    must_file(&fixture, "y", 0, 1);
    must_file(&fixture, "x", 0, 3);
    CHECK_EQ(file(&fixture, "x", 0, 2, 3), TRIT_OK);
    must_file(&fixture, "y", 2, 2);
    check_missing(&fixture, (struct store_get){.replica = 0}, all);
    check_missing(&fixture, (struct store_get){.has_step = true, .step = 3}, all);
    check_missing(&fixture, (struct store_get){.replica = 2}, all);
    check_missing(&fixture, (struct store_get){.replica = 1},
                  "no report of layer \"x\" in run \"r\" of replica 1");
    check_missing(&fixture, (struct store_get){.attempt = 2},
                  "no report of layer \"x\" in run \"r\" of attempt 2, replica 0");
    store_fixture_fini(&fixture);
}

CASE(reopened, "attempts and replicas are as before after the store is opened again")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 4; step++)
        must_file(&fixture, "x", 0, step);
    must_file(&fixture, "x", 2, 3);
    CHECK_EQ(file(&fixture, "x", 0, 1, 3), TRIT_OK);
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    CHECK_STR(list(&fixture, (struct store_query){.run = "r"}), "x1:1 x2:1 x3:2");
    must_file(&fixture, "x", 0, 4);
    CHECK_EQ(put.report.attempt, 2);
    store_fixture_fini(&fixture);
}

/* ---- damage ---------------------------------------------------------------- */

/* What a query of the run says, and a put, after this damage. */
static enum trit_status damaged(const char *sql)
{
    struct store_fixture fixture;
    struct trit_report report;
    enum trit_status status;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 4; step++)
        must_file(&fixture, "x", 0, step);
    must_file(&fixture, "x", 2, 3);
    store_fixture_close_store(&fixture);
    store_sql(&fixture, sql);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    status = get(&fixture, (struct store_get){0}, &report);
    if (file(&fixture, "x", 0, 0, 9) != status)
        check_failed(__FILE__, __LINE__, "%s: %d", sql, status);
    store_fixture_fini(&fixture);
    return status;
}

CASE(damaged_runs, "a run's row that is changed or missing is DATA_LOSS, also for puts")
{
    CHECK_EQ(damaged("DELETE FROM runs"), TRIT_DATA_LOSS);
    CHECK_EQ(damaged("UPDATE runs SET attempts = substr(attempts, 1, 9)"),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged("UPDATE layers SET attempt = 3 WHERE attempt = 2;"
                     "DELETE FROM pasts"),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged("UPDATE layers SET replica = 1, crc = 1 WHERE attempt = 2;"
                     "DELETE FROM pasts"),
             TRIT_DATA_LOSS);
    CHECK_EQ(damaged("DELETE FROM layers WHERE attempt = 2; DELETE FROM pasts"),
             TRIT_DATA_LOSS);
}

CASE(mended_runs, "rows of a run of two attempts are made again where they can be")
{
    CHECK_EQ(damaged("UPDATE runs SET state = 1"), TRIT_OK);
    CHECK_EQ(damaged("UPDATE layers SET attempt = 3 WHERE attempt = 2"), TRIT_OK);
    CHECK_EQ(damaged("UPDATE layers SET replica = 1 WHERE attempt = 2"), TRIT_OK);
    CHECK_EQ(damaged("DELETE FROM layers WHERE attempt = 2"), TRIT_OK);
}

/* ---- the order of filing --------------------------------------------------- */

static bool list_sequence(void *arg, uint64_t sequence, const struct trit_report *report)
{
    struct listing *listing = arg;
    size_t at = strlen(listing->text);

    snprintf(listing->text + at, sizeof(listing->text) - at,
             "%s%" PRIu64 "=%s%" PRIu64 ":%" PRIu32, at ? " " : "", sequence,
             report->layer, report->step, report->attempt);
    return true;
}

CASE(since, "reports are read in the order in which they were filed")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    struct listing listing = {0};
    uint64_t sequence = 0;

    store_fixture_init_fast(&fixture);
    must_file(&fixture, "y", 0, 2);
    must_file(&fixture, "x", 0, 1);
    must_file(&fixture, "y", 2, 2);
    reader = open_reader(&fixture);
    CHECK(store_read_since(reader, NULL, 0, 100, list_sequence, &listing, NULL) == 0);
    CHECK_STR(listing.text, "1=y2:1 2=x1:1 3=y2:2");
    listing.text[0] = '\0';
    CHECK(store_read_since(reader, "r", 1, 1, list_sequence, &listing, NULL) == 0);
    CHECK_STR(listing.text, "2=x1:1");
    listing.text[0] = '\0';
    CHECK(store_read_since(reader, "other", 0, 100, list_sequence, &listing, NULL) == 0);
    CHECK_STR(listing.text, "");
    CHECK(store_read_sequence(reader, &sequence, NULL) == 0);
    CHECK_EQ(sequence, 3);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

static void count_filed(void *arg)
{
    ++*(unsigned *)arg;
}

CASE(filed, "the owner is told when there are new reports, and only then")
{
    struct store_fixture fixture;
    unsigned count = 0;

    store_fixture_init_fast(&fixture);
    store_fixture_close_store(&fixture);
    fixture.filed = count_filed;
    fixture.filed_arg = &count;
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    must_file(&fixture, "x", 0, 1);
    CHECK_EQ(count, 1);
    must_file(&fixture, "x", 0, 1);
    CHECK(put.put.existed);
    CHECK_EQ(count, 1);
    must_file(&fixture, "x", 0, 2);
    CHECK_EQ(count, 2);
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}

CASE(bounded, "a run has at most RUN_ATTEMPTS_MAX attempts, and refusals are counted")
{
    static struct run_row run = {.run = "r", .state = RUN_OPEN};
    static struct db db; /* for L_ATTEMPTS */
    struct failure failure = {.status = TRIT_OK};

    for (int i = 0; i < RUN_ATTEMPTS_MAX; i++)
        CHECK(run_add_attempt(&db, &run, i, ATTEMPT_BY_REWIND, &failure) == 0);
    CHECK_EQ(db.over_attempts, 0);
    CHECK(run_add_attempt(&db, &run, 1, ATTEMPT_BY_REWIND, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK(strstr(failure.message, "\"r\" has 1000 attempts"));
    CHECK_EQ(run.attempts, RUN_ATTEMPTS_MAX);
    CHECK_EQ(db.over_attempts, 1);
}
