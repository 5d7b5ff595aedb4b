/* SPDX-License-Identifier: Apache-2.0 */
/* Rewind, fork and delete. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "health/health.h"
#include "store/counters.h"
#include "store/fork.h"
#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

enum { CODES_BYTES = 64, MANY = 600 };

static struct fixture_put put;

/* Files a report whose codes are all (step % 3) - 1. */
static enum trit_status file_in(struct store_fixture *fixture, const char *run,
                                const char *layer, uint32_t replica, uint64_t step)
{
    static const uint8_t all[3] = {0x00, 0x55, 0xaa};
    uint8_t codes[CODES_BYTES];
    struct trit_report report;

    memset(codes, all[step % 3], sizeof(codes));
    fixture_report(&report, run, layer, step, (unsigned)step, 1, 4 * CODES_BYTES, 128);
    report.replica = replica;
    fixture_put(fixture, &put, &report, codes, sizeof(codes));
    return put.put.failure.status;
}

static void file(struct store_fixture *fixture, const char *run, const char *layer,
                 uint64_t step)
{
    if (file_in(fixture, run, layer, 0, step) != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", put.put.failure.message);
}

/* ---- changes --------------------------------------------------------------- */

static bool is_done;

static void done(struct store_change *change)
{
    (void)change;
    is_done = true;
}

static bool see_done(void *arg)
{
    (void)arg;
    return is_done;
}

typedef int change_function(struct store_change *, struct store *, struct failure *);

static const struct store_change *change(struct store_fixture *fixture,
                                         change_function *make, struct store_change in)
{
    static struct store_change change;
    struct failure failure = {0};

    change = in;
    change.done = done;
    is_done = false;
    if (make(&change, fixture->store, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    loop_run_until(fixture->loop, see_done, NULL);
    return &change;
}

static uint64_t delete_all(struct store_fixture *fixture, const char *run,
                           const char *layer, uint64_t from, uint64_t to)
{
    struct store_change in = {.step_from = from, .step_to = to};
    const struct store_change *out;

    snprintf(in.run, sizeof(in.run), "%s", run);
    snprintf(in.layer, sizeof(in.layer), "%s", layer);
    out = change(fixture, store_delete, in);
    if (out->failure.status != TRIT_OK)
        check_failed(__FILE__, __LINE__, "%s", out->failure.message);
    return out->reports;
}

/* ---- what is there --------------------------------------------------------- */

static char text[4096];

static bool list_report(void *arg, const struct trit_report *report)
{
    size_t at = strlen(text);

    (void)arg;
    snprintf(text + at, sizeof(text) - at, "%s%s/%s%" PRIu64, at ? " " : "", report->run,
             report->layer, report->step);
    return true;
}

static const char *list(struct store_fixture *fixture, const char *run)
{
    const struct store_query query = {.run = run, .step_to = UINT64_MAX, .limit = 100};
    struct store_reader *reader;
    struct failure failure = {0};

    text[0] = '\0';
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    if (store_read_reports(reader, &query, list_report, NULL, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    store_reader_close(reader);
    return text;
}

static void damaged(void *arg, const char *message)
{
    (void)arg;
    check_failed(__FILE__, __LINE__, "%s", message);
}

/* Closes the store, checks all of it, and opens it again. */
static void check_data(struct store_fixture *fixture)
{
    struct store_counts counts;
    struct failure failure = {0};

    store_fixture_close_store(fixture);
    if (store_check(fixture->directory, damaged, NULL, &counts, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    CHECK_EQ(counts.damaged, 0);
    CHECK(store_fixture_open_store(fixture, NULL) == 0);
}

/* ---- rewind ---------------------------------------------------------------- */

CASE(rewinds, "a rewind starts the next attempt after a step")
{
    struct store_fixture fixture;
    const struct store_change *out;

    store_fixture_init_fast(&fixture);
    fixture.codes_max = 1 << 20;
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    for (uint64_t step = 1; step <= 5; step++)
        file(&fixture, "r", "x", step);
    out = change(&fixture, store_rewind, (struct store_change){.run = "r", .step = 3});
    CHECK_EQ(out->failure.status, TRIT_OK);
    CHECK_EQ(out->attempt, 2);
    CHECK_STR(list(&fixture, "r"), "r/x1 r/x2 r/x3");
    check_data(&fixture);
    file(&fixture, "r", "x", 4);
    CHECK_EQ(put.report.attempt, 2);
    CHECK(put.report.has_previous);
    CHECK_EQ(put.report.previous_step, 3);
    CHECK_EQ(put.report.flips, 4 * CODES_BYTES);
    CHECK_STR(list(&fixture, "r"), "r/x1 r/x2 r/x3 r/x4");
    CHECK_EQ(file_in(&fixture, "r", "x", 0, 3), TRIT_OK);
    CHECK(put.put.existed);
    out = change(&fixture, store_rewind, (struct store_change){.run = "q", .step = 3});
    CHECK_EQ(out->failure.status, TRIT_NOT_FOUND);
    CHECK_STR(out->failure.message, "no run \"q\"");
    store_fixture_fini(&fixture);
}

CASE(rewinds_bounded, "a run has a bounded number of attempts")
{
    struct store_fixture fixture;
    const struct store_change *out;

    store_fixture_init_fast(&fixture);
    file(&fixture, "r", "x", 1);
    do {
        out = change(&fixture, store_rewind, (struct store_change){.run = "r"});
    } while (out->failure.status == TRIT_OK && out->attempt < 2000);
    CHECK_EQ(out->failure.status, TRIT_RESOURCE_EXHAUSTED);
    CHECK_STR(out->failure.message,
              "run: \"r\" has 1000 attempts, which is the most; start "
              "another run, or fork this one");
    file(&fixture, "r", "x", 2);
    CHECK_EQ(put.report.attempt, 1000);
    store_fixture_fini(&fixture);
}

/* ---- delete ---------------------------------------------------------------- */

CASE(delete_steps, "a range of steps of a layer is deleted, at any place")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 6; step++) {
        file(&fixture, "r", "x", step);
        file(&fixture, "r", "y", step);
    }
    CHECK_EQ(delete_all(&fixture, "r", "x", 3, 4), 2);
    CHECK_EQ(delete_all(&fixture, "r", "x", 0, 1), 1);
    CHECK_EQ(delete_all(&fixture, "r", "y", 5, UINT64_MAX), 2);
    CHECK_STR(list(&fixture, "r"), "r/x2 r/x5 r/x6 r/y1 r/y2 r/y3 r/y4");
    CHECK_EQ(delete_all(&fixture, "r", "x", 3, 4), 0);
    check_data(&fixture);
    file(&fixture, "r", "y", 5);
    CHECK(!put.report.has_previous);
    file(&fixture, "r", "x", 7);
    CHECK_EQ(put.report.previous_step, 6);
    file(&fixture, "r", "x", 4);
    CHECK_STR(list(&fixture, "r"), "r/x2 r/x4 r/x5 r/x6 r/x7 r/y1 r/y2 r/y3 r/y4 r/y5");
    check_data(&fixture);
    store_fixture_fini(&fixture);
}

CASE(delete_layers, "layers and runs without reports are gone")
{
    struct store_fixture fixture;
    const struct store_change *out;
    static const char *const runs[] = {"a", "b", "c"};

    store_fixture_init_fast(&fixture);
    for (int run = 0; run < 3; run++)
        for (uint64_t step = 1; step <= 2; step++) {
            file(&fixture, runs[run], "x", step);
            CHECK_EQ(file_in(&fixture, runs[run], "x", 1, step), TRIT_OK);
            file(&fixture, runs[run], "y", step);
        }
    CHECK_EQ(delete_all(&fixture, "b", "x", 0, UINT64_MAX), 4);
    CHECK_STR(list(&fixture, "b"), "b/y1 b/y2");
    check_data(&fixture);
    CHECK_EQ(delete_all(&fixture, "b", "", 0, UINT64_MAX), 2);
    CHECK_STR(list(&fixture, "b"), "");
    CHECK_EQ(delete_all(&fixture, "c", "", 0, UINT64_MAX), 6);
    CHECK_STR(list(&fixture, NULL), "a/x1 a/x2 a/y1 a/y2");
    check_data(&fixture);
    out = change(&fixture, store_delete, (struct store_change){.run = "b"});
    CHECK_EQ(out->failure.status, TRIT_NOT_FOUND);
    CHECK_STR(out->failure.field, "run");
    out = change(&fixture, store_delete, (struct store_change){.run = "a", .layer = "z"});
    CHECK_EQ(out->failure.status, TRIT_NOT_FOUND);
    CHECK_STR(out->failure.field, "layer");
    CHECK_EQ(delete_all(&fixture, "a", "", 0, UINT64_MAX), 6);
    check_data(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM codes"), 0);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM runs"), 0);
    file(&fixture, "b", "x", 1);
    CHECK_EQ(put.report.attempt, 1);
    store_fixture_fini(&fixture);
}

static bool see_sequence(void *arg, uint64_t sequence, const struct trit_report *report)
{
    (void)report;
    *(uint64_t *)arg = sequence;
    return true;
}

CASE(sequence_kept, "no sequence is given away twice, also after the newest is deleted")
{
    struct store_fixture fixture;
    struct store_reader *reader;
    uint64_t sequence = 0;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= 3; step++)
        file(&fixture, "r", "x", step);
    delete_all(&fixture, "r", "x", 2, 3);
    check_data(&fixture);
    file(&fixture, "r", "x", 4);
    CHECK(store_reader_open(&reader, fixture.store, NULL) == 0);
    CHECK(store_read_since(reader, NULL, 0, 10, see_sequence, &sequence, NULL) == 0);
    CHECK_EQ(sequence, 4);
    store_reader_close(reader);
    store_fixture_fini(&fixture);
}

/* ---- fork ------------------------------------------------------------------ */

CASE(forks, "a fork has the reports of the lineage up to a step, and goes on from there")
{
    struct store_fixture fixture;
    const struct store_change *out;
    struct store_change in = {.run = "r", .step = 3, .new_run = "f"};

    store_fixture_init_fast(&fixture);
    fixture.codes_max = 1 << 20;
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    for (uint64_t step = 1; step <= 5; step++) {
        file(&fixture, "r", "x", step);
        CHECK_EQ(file_in(&fixture, "r", "x", 1, step), TRIT_OK);
    }
    file(&fixture, "r", "y", 9);
    change(&fixture, store_rewind, (struct store_change){.run = "r", .step = 1});
    file(&fixture, "r", "x", 3);
    file(&fixture, "r", "x", 4);
    out = change(&fixture, store_fork, in);
    CHECK_EQ(out->failure.status, TRIT_OK);
    CHECK_EQ(out->reports, 3);
    CHECK_STR(list(&fixture, "f"), "f/x1 f/x3");
    CHECK_STR(list(&fixture, "r"), "r/x1 r/x3 r/x4");
    check_data(&fixture);
    /* The original may go: the fork keeps what both had. */
    delete_all(&fixture, "r", "", 0, UINT64_MAX);
    check_data(&fixture);
    file(&fixture, "f", "x", 4);
    CHECK_EQ(put.report.attempt, 1);
    CHECK_EQ(put.report.previous_step, 3);
    CHECK_EQ(put.report.flips, 4 * CODES_BYTES);
    CHECK_EQ(file_in(&fixture, "f", "x", 0, 1), TRIT_OK);
    CHECK(put.put.existed);
    store_fixture_fini(&fixture);
}

CASE(fork_refused, "a fork of nothing, or onto a run that exists, is refused")
{
    struct store_fixture fixture;
    const struct store_change *out;
    struct store_change in = {.run = "r", .step = 3, .new_run = "f"};

    store_fixture_init_fast(&fixture);
    out = change(&fixture, store_fork, in);
    CHECK_EQ(out->failure.status, TRIT_NOT_FOUND);
    file(&fixture, "r", "x", 7);
    out = change(&fixture, store_fork, in);
    CHECK_EQ(out->failure.status, TRIT_NOT_FOUND);
    CHECK_STR(out->failure.message, "run \"r\" has no report up to step 3");
    file(&fixture, "f", "x", 7);
    in.step = 7;
    out = change(&fixture, store_fork, in);
    CHECK_EQ(out->failure.status, TRIT_ALREADY_EXISTS);
    CHECK_STR(out->failure.message,
              "run \"f\" exists already; give another name, or delete it first");
    check_data(&fixture);
    store_fixture_fini(&fixture);
}

CASE(many, "what takes several steps is complete in the end")
{
    struct store_fixture fixture;
    const struct store_change *out;
    struct store_change in = {.run = "r", .step = MANY, .new_run = "f"};

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= MANY; step++) {
        file(&fixture, "r", "x", step);
        file(&fixture, "r", "y", step);
    }
    out = change(&fixture, store_fork, in);
    CHECK_EQ(out->failure.status, TRIT_OK);
    CHECK_EQ(out->reports, 2 * MANY);
    CHECK_EQ(delete_all(&fixture, "r", "", 0, UINT64_MAX), 2 * MANY);
    check_data(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 2 * MANY);
    CHECK_EQ(delete_all(&fixture, "f", "", 2, MANY - 1), 2 * (MANY - 2));
    CHECK_STR(list(&fixture, NULL), "f/x1 f/x600 f/y1 f/y600");
    check_data(&fixture);
    store_fixture_fini(&fixture);
}

/* The first step of a fork, as a crash leaves it. */
static void begin_fork(struct store_fixture *fixture)
{
    const struct health_rules rules = health_rules_default();
    static struct fork fork = {.from = "r", .to = "f", .step = MANY};
    struct counters next = {.upload = 10 * MANY, .sequence = 10 * MANY};
    char path[STORE_PATH_BYTES];
    uint64_t reports = 0;
    struct db db;

    store_file(fixture, path);
    CHECK(db_open(&db, path, DB_WRITES, NULL) == 0);
    CHECK(db_exec(&db, "BEGIN", NULL) == 0);
    CHECK_EQ(fork_step(&db, &next, &rules, &fork, &reports, NULL), 1);
    CHECK_EQ(reports, FORK_REPORTS_MAX);
    CHECK(db_exec(&db, "COMMIT", NULL) == 0);
    db_close(&db);
}

CASE(unfinished,
     "a fork that a crash ended is not seen, and is removed at the next start")
{
    struct store_fixture fixture;

    store_fixture_init_fast(&fixture);
    for (uint64_t step = 1; step <= MANY; step++)
        file(&fixture, "r", "x", step);
    store_fixture_close_store(&fixture);
    begin_fork(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    CHECK_STR(list(&fixture, "f"), "");
    /* Behind this deletion all is done that was to be done at the start. */
    CHECK_EQ(delete_all(&fixture, "r", "", 2, UINT64_MAX), MANY - 1);
    check_data(&fixture);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM reports"), 1);
    CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM runs"), 1);
    file(&fixture, "f", "x", 1);
    store_fixture_fini(&fixture);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
