/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows are mended when: all in turns, or those near a layer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/mending.h"
#include "tests/lib/check.h"
#include "tests/lib/store_damaged.h"
#include "tests/lib/store_sql.h"

enum { LAYERS = 600, CROWD = 50, STEPS = 3 };

/* Run a with this many layers, of one report each, and layer z of several. Closed. */
static void build_many(struct store_fixture *fixture)
{
    static struct fixture_put puts[CROWD];

    store_fixture_init_fast(fixture);
    for (unsigned first = 0; first < LAYERS; first += CROWD) {
        for (unsigned i = 0; i < CROWD; i++) {
            char layer[16];

            snprintf(layer, sizeof(layer), "l%u", first + i);
            damaged_start(fixture, &puts[i], "a", layer, 1, false);
        }
        for (unsigned i = 0; i < CROWD; i++)
            fixture_put_wait(&puts[i]);
    }
    for (uint64_t step = 1; step <= STEPS; step++)
        CHECK_EQ(damaged_file(fixture, "b", "z", step, false, NULL), TRIT_OK);
    store_fixture_close_store(fixture);
}

static void open_file(struct store_fixture *fixture, struct db *db, const char *damage)
{
    char path[STORE_PATH_BYTES];

    *db = (struct db){0};
    store_file(fixture, path);
    CHECK(db_open(db, path, DB_WRITES, NULL) == 0);
    CHECK(db_exec(db, damage, NULL) == 0);
}

static int count_turns(struct db *db, struct mending *mending)
{
    struct failure failure = {0};
    int turns = 1, more;

    while ((more = mending_turn(db, mending, &failure)) == 1)
        turns++;
    CHECK_EQ(more, 0);
    CHECK_EQ(failure.status, TRIT_OK);
    return turns;
}

CASE(in_turns,
     "all rows are mended in turns, each of which looks at 512 keys at most; a row "
     "that is made again counts with the reports of its layer")
{
    /* The keys of layers twice, and two runs. */
    const int whole = (2 * (LAYERS + 1) + 2 + MENDING_TURN_ROWS - 1) / MENDING_TURN_ROWS;
    struct store_fixture fixture;
    struct mending mending = {.count = 0};
    struct db db;

    build_many(&fixture);
    open_file(&fixture, &db, "SELECT 1");
    CHECK_EQ(count_turns(&db, &mending), whole);
    CHECK_EQ(mending.count, 0);
    CHECK(db_exec(&db, "UPDATE layers SET reports = 9", NULL) == 0);
    mending = (struct mending){.count = 0};
    CHECK_EQ(count_turns(&db, &mending), whole + 1);
    CHECK_EQ(mending.count, LAYERS + 1);
    db_close(&db);
    check_undamaged(&fixture);
    store_fixture_fini(&fixture);
}

CASE(reports_between_turns,
     "a report that is filed between two turns stays, and its row is intact")
{
    struct store_fixture fixture;
    struct mending mending = {.count = 0};
    struct db db;

    build_many(&fixture);
    open_file(&fixture, &db, "UPDATE layers SET reports = 9 WHERE layer = 'l500'");
    CHECK_EQ(mending_turn(&db, &mending, NULL), 1);
    db_close(&db);
    damaged_open(&fixture);
    CHECK_EQ(damaged_file(&fixture, "a", "l500", 2, false, NULL), TRIT_OK);
    store_fixture_close_store(&fixture);
    open_file(&fixture, &db, "SELECT 1");
    count_turns(&db, &mending);
    db_close(&db);
    check_undamaged(&fixture);
    damaged_open(&fixture);
    CHECK_EQ(damaged_get(&fixture, "a", "l500", 2, NULL), TRIT_OK);
    store_fixture_fini(&fixture);
}

static int mend_near(struct store_fixture *fixture, const char *layer, const char *damage)
{
    struct layer_key key;
    struct db db;

    layer_key_set(&key, "a", layer);
    open_file(fixture, &db, damage);
    const int count = layers_mend_near(&db, &key, NULL);

    db_close(&db);
    return count;
}

CASE(near,
     "a put mends the rows of its layer, of the neighbours and of its run, with all "
     "damaged ones before them in order, and no others")
{
    struct store_fixture fixture;

    build_many(&fixture);
    CHECK_EQ(mend_near(&fixture, "l5", "SELECT 1"), 0);
    CHECK_EQ(mend_near(&fixture, "l5",
                       "UPDATE layers SET reports = 9 WHERE layer = 'l301';"
                       "UPDATE layers SET reports = 9 WHERE layer >= 'l496' AND layer <="
                       " 'l50'; UPDATE runs SET crc = 1"),
             1 + 6);
    CHECK_EQ(mend_near(&fixture, "l301", "SELECT 1"), 1);
    CHECK_EQ(mend_near(&fixture, "l0", "DELETE FROM layers WHERE layer = 'l1'"), 1);
    CHECK_EQ(mend_near(&fixture, "l", "UPDATE layers SET crc = 1 WHERE layer = 'l0'"), 1);
    CHECK_EQ(mend_near(&fixture, "l99", "UPDATE layers SET crc = 1 WHERE layer = 'z'"),
             1);
    CHECK_EQ(mend_near(&fixture, "l99", "UPDATE runs SET crc = 1"), 1);
    store_fixture_fini(&fixture);
}
