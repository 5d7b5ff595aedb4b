/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out while history and health are read: each query fails as a whole and
 * says why, and the next one is answered as before. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/run_health.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/store_faults.h"
#include "tests/lib/store_fixture.h"

static const int64_t second = 1000000000;
static const int64_t begin = 1700000000000000000;

struct world {
    struct store_fixture fixture;
    struct store_reader *reader;
    uint64_t seen; /* of what a query visits, mixed */
};

/* Two layers, one of them in two attempts, with enough reports for rows of `history`. */
static void world_init(struct world *w)
{
    static const struct {
        const char *layer;
        uint32_t attempt;
        uint64_t from, to;
    } parts[] = {{"a", 0, 1, 90}, {"b", 0, 1, 40}, {"a", 2, 71, 80}};

    *w = (struct world){0};
    store_fixture_init(&w->fixture, true);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (uint64_t step = parts[i].from; step <= parts[i].to; step++) {
            struct trit_report report;
            struct fixture_put put;

            fixture_report(&report, "run", parts[i].layer, step,
                           (unsigned)(step + parts[i].attempt), 64, 128, 128);
            report.attempt = parts[i].attempt;
            report.time_unix_ns = begin + (int64_t)step * second;
            report.zeros = 2000 + step % 7;
            fixture_put(&w->fixture, &put, &report, NULL, 0);
            CHECK_EQ(put.put.failure.status, TRIT_OK);
        }
    }
}

static void mix(struct world *w, uint64_t value)
{
    w->seen = (w->seen ^ value) * 0x100000001b3 + 1;
}

static int read_history(struct world *w, struct failure *failure)
{
    const struct store_history_query query = {
        .run = "run", .to = UINT64_MAX, .every = 4, .fields = (1 << STORE_FIELDS) - 1};
    struct store_history history;
    int result = store_read_history(w->reader, &query, &history, failure);

    for (size_t i = 0; result == 0 && i < history.layer_count; i++)
        for (size_t column = 0; column < history.column_count; column++)
            mix(w, history.steps[column] + history.layers[i].column_health[column] +
                       (history.layers[i].values[STORE_ZERO_FRACTION][column] > 0));
    store_history_fini(&history);
    return result;
}

static int read_health(struct world *w, struct failure *failure)
{
    struct store_run_health health;

    if (store_read_run_health(w->reader, "run", begin + 300 * second, &health, failure))
        return -1;
    mix(w, health.step + 1000 * health.layers[TRIT_HEALTH_WARNING]);
    return 0;
}

static bool take_stale(void *arg, int64_t since_unix_ns, const struct trit_report *report)
{
    mix(arg, (uint64_t)since_unix_ns + report->step);
    return true;
}

static int read_stale(struct world *w, struct failure *failure)
{
    const struct store_stale_query query = {.now_unix_ns = begin + 300 * second};

    return store_read_stale(w->reader, &query, take_stale, w, failure);
}

static bool take_report(void *arg, const struct trit_report *report)
{
    mix(arg, report->step + report->health_reason_count);
    return true;
}

static int read_newest(struct world *w, struct failure *failure)
{
    const struct store_query query = {.run = "run",
                                      .step_to = UINT64_MAX,
                                      .limit = 100,
                                      .latest_only = true,
                                      .now_unix_ns = begin + 300 * second};

    return store_read_reports(w->reader, &query, take_report, w, failure);
}

/* Each allocation in turn, ours and SQLite's, with a new connection and with one that has
 * prepared its statements. */
static void walk(int (*read)(struct world *w, struct failure *failure), bool prepared)
{
    struct world w;
    uint64_t wanted;
    unsigned failures = 0;
    bool fired = true;

    world_init(&w);
    CHECK(store_reader_open(&w.reader, w.fixture.store, NULL) == 0);
    CHECK(read(&w, NULL) == 0);
    wanted = w.seen;
    for (uint64_t nth = 1; fired && nth < 100000; nth += 1 + nth / 16) {
        struct failure failure = {0};
        int result;

        if (!prepared) {
            store_reader_close(w.reader);
            CHECK(store_reader_open(&w.reader, w.fixture.store, NULL) == 0);
        }
        w.seen = 0;
        fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
        result = read(&w, &failure);
        fired = fault_disarm();
        CHECK_EQ(result == 0, failure.status == TRIT_OK);
        CHECK(result == 0 || failure.message[0]);
        CHECK(fired || result == 0);
        failures += result < 0;
        w.seen = result == 0 ? w.seen : wanted;
        CHECK_EQ(w.seen, wanted);
        w.seen = 0;
        failure = (struct failure){0};
        if (read(&w, &failure) < 0)
            check_failed(__FILE__, __LINE__, "%" PRIu64 ": %s", nth, failure.message);
        CHECK_EQ(w.seen, wanted);
    }
    CHECK(!fired);
    CHECK(failures > 0);
    store_reader_close(w.reader);
    store_fixture_fini(&w.fixture);
}

CASE(history, "whichever allocation fails, a history is right or fails")
{
    walk(read_history, true);
    walk(read_history, false);
}

CASE(health, "whichever allocation fails, the health of a run is right or fails")
{
    walk(read_health, true);
    walk(read_health, false);
}

CASE(stale, "whichever allocation fails, the search for stale layers is right or fails")
{
    walk(read_stale, true);
    walk(read_stale, false);
}

CASE(newest, "whichever allocation fails, a list of newest reports is right or fails")
{
    walk(read_newest, false);
}

int main(int argc, char **argv)
{
    store_faults_init();
    return check_main(argc, argv);
}
