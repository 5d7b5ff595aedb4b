/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_damaged.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/loop.h"
#include "tests/lib/store_sql.h"

void damaged_start(struct store_fixture *fixture, struct fixture_put *put,
                   const char *run, const char *layer, uint64_t step, bool with_codes)
{
    uint8_t codes[DAMAGED_CODES_BYTES];
    struct trit_report report;

    memset(codes, step / 10 % 2 ? 0x55 : 0, sizeof(codes));
    fixture_report(&report, run, layer, step, (unsigned)step, 1, 4 * DAMAGED_CODES_BYTES,
                   128);
    CHECK(fixture_put_start(fixture, put, &report, with_codes ? codes : NULL,
                            sizeof(codes), sizeof(codes)) == 0);
}

enum trit_status damaged_file(struct store_fixture *fixture, const char *run,
                              const char *layer, uint64_t step, bool with_codes,
                              struct failure *failure)
{
    struct fixture_put put;

    damaged_start(fixture, &put, run, layer, step, with_codes);
    fixture_put_wait(&put);
    if (failure)
        *failure = put.put.failure;
    return put.put.failure.status;
}

void damaged_open(struct store_fixture *fixture)
{
    struct failure failure = {0};

    if (store_fixture_open_store(fixture, &failure))
        check_failed(__FILE__, __LINE__, "%s", failure.message);
}

/* Filed, closed, damaged by SQL, and open again. */
void damaged_build(struct store_fixture *fixture, const char *damage)
{
    static const char *const names[] = {"a", "b", "x", "y"};

    store_fixture_init_fast(fixture);
    for (uint64_t step = 10; step <= 30; step += 10)
        for (int run = 0; run < 2; run++)
            for (int layer = 2; layer < 4; layer++)
                CHECK_EQ(
                    damaged_file(fixture, names[run], names[layer], step, true, NULL),
                    TRIT_OK);
    store_fixture_close_store(fixture);
    store_sql(fixture, damage);
    damaged_open(fixture);
}

enum trit_status damaged_get(struct store_fixture *fixture, const char *run,
                             const char *layer, int64_t step, struct failure *failure)
{
    struct failure unseen;
    struct store_reader *reader;
    struct trit_report report;

    failure = failure ? failure : &unseen;
    *failure = (struct failure){0};
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    store_read_report(reader, GET(run, layer, step >= 0, (uint64_t)step), &report,
                      failure);
    store_reader_close(reader);
    if (failure->status == TRIT_OK && step >= 0)
        CHECK_EQ(report.step, step);
    return failure->status;
}

static bool count_report(void *arg, const struct trit_report *report)
{
    (void)report;
    ++*(unsigned *)arg;
    return true;
}

enum trit_status damaged_list(struct store_fixture *fixture, struct store_query query,
                              unsigned *count, struct failure *failure)
{
    struct failure unseen;
    struct store_reader *reader;

    failure = failure ? failure : &unseen;
    *failure = (struct failure){0};
    *count = 0;
    query.limit = query.limit ? query.limit : 100;
    query.step_to = query.step_to ? query.step_to : UINT64_MAX;
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    store_read_reports(reader, &query, count_report, count, failure);
    store_reader_close(reader);
    return failure->status;
}

struct run_count {
    unsigned runs, damaged;
};

static bool count_run(void *arg, const struct store_run_info *info)
{
    struct run_count *count = arg;

    if (info->damaged == 0)
        CHECK_EQ(info->reports, 6);
    count->runs++;
    count->damaged += (unsigned)info->damaged;
    return true;
}

enum trit_status damaged_runs(struct store_fixture *fixture, unsigned *count,
                              unsigned *damaged_rows)
{
    struct run_count found = {0};
    struct store_reader *reader;
    struct failure failure = {0};

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    store_read_runs(reader, count_run, &found, &failure);
    store_reader_close(reader);
    *count = found.runs;
    *damaged_rows = found.damaged;
    return failure.status;
}

struct deletion {
    struct store_change change;
    bool done;
};

static void deleted(struct store_change *change)
{
    ((struct deletion *)change)->done = true;
}

static bool is_deleted(void *arg)
{
    return ((struct deletion *)arg)->done;
}

uint64_t damaged_delete(struct store_fixture *fixture, const char *run, const char *layer,
                        uint64_t from, uint64_t to, struct failure *failure)
{
    struct deletion deletion = {
        .change = {.done = deleted, .step_from = from, .step_to = to}};

    snprintf(deletion.change.run, sizeof(deletion.change.run), "%s", run);
    snprintf(deletion.change.layer, sizeof(deletion.change.layer), "%s", layer);
    CHECK(store_delete(&deletion.change, fixture->store, NULL) == 0);
    loop_run_until(fixture->loop, is_deleted, &deletion);
    *failure = deletion.change.failure;
    return deletion.change.reports;
}

static void tell_damage(void *arg, const char *message)
{
    (void)arg;
    check_failed(__FILE__, __LINE__, "%s", message);
}

void check_undamaged(struct store_fixture *fixture)
{
    struct store_counts counts;

    store_fixture_close_store(fixture);
    CHECK(store_check(fixture->directory, tell_damage, NULL, &counts, NULL) == 0);
    CHECK_EQ(counts.damaged, 0);
}

void check_names(const struct failure *failure, const char *key)
{
    if (failure->status != TRIT_DATA_LOSS || !strstr(failure->message, key))
        check_failed(__FILE__, __LINE__, "%d: %s", failure->status, failure->message);
}

/* All that concerns neither (a, x) nor what lists of everything need. */
void check_others(struct store_fixture *fixture)
{
    unsigned count;

    for (int64_t step = 10; step <= 30; step += 10) {
        CHECK_EQ(damaged_get(fixture, "a", "y", step, NULL), TRIT_OK);
        CHECK_EQ(damaged_get(fixture, "b", "x", step, NULL), TRIT_OK);
    }
    CHECK_EQ(damaged_get(fixture, "b", "y", -1, NULL), TRIT_OK);
    CHECK_EQ(damaged_list(fixture, (struct store_query){.run = "b"}, &count, NULL),
             TRIT_OK);
    CHECK_EQ(count, 6);
    CHECK_EQ(damaged_list(fixture, (struct store_query){.run = "a", .layer = "y"}, &count,
                          NULL),
             TRIT_OK);
    CHECK_EQ(count, 3);
}

/* ---- lists that go on beside damage ---------------------------------------------- */

struct told {
    char text[256];
    unsigned left; /* rows until the list is ended */
};

static bool tell(struct told *told, const char *run, const char *layer, uint64_t step,
                 const char *mark)
{
    const size_t length = strlen(told->text);

    snprintf(told->text + length, sizeof(told->text) - length, "%s%s/%s/%" PRIu64 "%s",
             length ? " " : "", run, layer, step, mark);
    return --told->left > 0;
}

static bool tell_sound(void *arg, const struct trit_report *report)
{
    return tell(arg, report->run, report->layer, report->step, "");
}

static bool tell_passed(void *arg, const struct store_key *key)
{
    return tell(arg, key->run, key->layer, key->step, "!");
}

void check_beside(struct store_fixture *fixture, struct store_query query, unsigned rows,
                  const char *expected)
{
    struct told told = {.left = rows};
    struct failure failure = {0};
    struct store_reader *reader;

    query.limit = 100;
    query.step_to = query.step_to ? query.step_to : UINT64_MAX;
    query.passed = tell_passed;
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    if (store_read_reports(reader, &query, tell_sound, &told, &failure))
        CHECK_STR(failure.message, "");
    CHECK_EQ(failure.status, TRIT_OK);
    CHECK_STR(told.text, expected);
    store_reader_close(reader);
}
