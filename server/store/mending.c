/* SPDX-License-Identifier: Apache-2.0 */
#include "store/mending.h"

#include <string.h>

#include "store/scan.h"

enum {
    SECOND_NS = 1000000000,
    MET_PAUSE_SECONDS = 1,
    ASKED_PAUSE_SECONDS = 60,
    PAUSES_IN_VAIN = 10, /* in place of one, after nothing could be mended */
    NEAR_ROWS_MAX = 64,  /* damaged rows in order before the one that is needed */
};

/* Adds to *count; damage that stays is skipped. */
static int add_mended(struct db *db, int mended, int *count, struct failure *failure)
{
    if (mended < 0 && !damage_is_of_rows(db, failure))
        return -1;
    *count += mended > 0;
    return 0;
}

/* ---- all, in turns -------------------------------------------------------------------- */

/* The next key of the stage, from mending->at on; without a run: there is none. */
static int next_key(struct db *db, const struct mending *mending, struct layer_key *key,
                    struct failure *failure)
{
    return mending->stage == MENDING_STRAYS
               ? scan_layer_key(db, &mending->at, key, failure)
               : scan_report_key(db, &mending->at, key, failure);
}

static int mend_key(struct db *db, struct mending *mending, const struct layer_key *key,
                    struct failure *failure)
{
    switch (mending->stage) {
    case MENDING_STRAYS:
        return layer_drop_stray(db, key, failure);
    case MENDING_LAYERS:
        return layer_mend(db, key, failure);
    case MENDING_RUNS:
    case MENDING_DONE:
        break;
    }
    return run_mend(db, key->run, failure);
}

/* Sets mending->at behind the key; of runs, behind all of its run. */
static void pass_key(struct mending *mending, const struct layer_key *key)
{
    mending->at = *key;
    if (mending->stage != MENDING_RUNS) {
        layer_key_step(&mending->at);
        return;
    }
    strcpy(mending->at.layer, NAME_BEHIND_ALL);
    mending->at.replica = mending->at.attempt = 0;
}

/* What a key costs: 1, and the layer's reports if they were read. */
static int cost_of(struct db *db, const struct mending *mending,
                   const struct layer_key *key, int mended, int64_t *cost,
                   struct failure *failure)
{
    int64_t reports = 0;

    if (mending->stage == MENDING_LAYERS && mended != 0 &&
        scan_count(db, key, &reports, failure))
        return -1;
    *cost += 1 + reports;
    return 0;
}

int mending_turn(struct db *db, struct mending *mending, struct failure *failure)
{
    for (int64_t cost = 0; cost < MENDING_TURN_ROWS && mending->stage != MENDING_DONE;) {
        struct failure reason = {0};
        struct layer_key key;

        if (next_key(db, mending, &key, failure))
            return -1;
        if (key.run[0] == '\0') {
            mending->stage++;
            mending->at = (struct layer_key){.run = ""};
            continue;
        }
        const int mended = mend_key(db, mending, &key, &reason);

        if (add_mended(db, mended, &mending->count, &reason))
            return fail_as(failure, &reason);
        if (cost_of(db, mending, &key, mended, &cost, failure))
            return -1;
        pass_key(mending, &key);
    }
    return mending->stage != MENDING_DONE;
}

int layers_mend(struct db *db, struct failure *failure)
{
    struct mending mending = {.count = 0};
    int more = 1;

    while (more > 0)
        more = mending_turn(db, &mending, failure);
    return more < 0 ? -1 : mending.count;
}

/* ---- near a layer --------------------------------------------------------------------- */

/* Sets *key to the last one before it that either table has; without a run: there is none. */
static int step_back(struct db *db, struct layer_key *key, struct failure *failure)
{
    struct layer_key of_layers, of_reports;

    if (scan_layer_before(db, key, &of_layers, failure) ||
        scan_report_before(db, key, &of_reports, failure))
        return -1;
    *key = layer_key_compare(&of_layers, &of_reports) > 0 ? of_layers : of_reports;
    return 0;
}

/* Sets *key to the first one from it on. */
static int step_on(struct db *db, struct layer_key *key, struct failure *failure)
{
    struct layer_key of_layers, of_reports;

    if (scan_layer_key(db, key, &of_layers, failure) ||
        scan_report_key(db, key, &of_reports, failure))
        return -1;
    *key = of_reports.run[0] == '\0' || (of_layers.run[0] != '\0' &&
                                         layer_key_compare(&of_layers, &of_reports) < 0)
               ? of_layers
               : of_reports;
    return 0;
}

/* Where mending begins: the row of a layer is made again only behind an intact one. */
static int find_start(struct db *db, const struct layer_key *key, struct layer_key *start,
                      struct failure *failure)
{
    struct layer_key at = *key;

    *start = *key;
    for (int rows = 0; rows < NEAR_ROWS_MAX; rows++) {
        struct layer_row row;

        if (step_back(db, &at, failure))
            return -1;
        if (at.run[0] == '\0')
            return 0;
        *start = at;
        if (scan_layer(db, &at, &row, failure))
            return -1;
        if (layer_key_compare(&row.key, &at) == 0)
            return 0;
    }
    return 0;
}

int layers_mend_near(struct db *db, const struct layer_key *key, struct failure *failure)
{
    struct layer_key first = *key, at;
    int count = 0;

    first.replica = first.attempt = 0;
    if (find_start(db, &first, &at, failure))
        return -1;
    for (bool more = true; more;) {
        struct failure reason = {0};

        if (step_on(db, &at, failure))
            return -1;
        if (at.run[0] == '\0')
            break;
        more = strcmp(at.run, key->run) < 0 ||
               (strcmp(at.run, key->run) == 0 && strcmp(at.layer, key->layer) <= 0);
        if (add_mended(db, layer_drop_stray(db, &at, &reason), &count, &reason) ||
            add_mended(db, layer_mend(db, &at, &reason), &count, &reason))
            return fail_as(failure, &reason);
        layer_key_step(&at);
    }
    struct failure reason = {0};

    if (add_mended(db, run_mend(db, key->run, &reason), &count, &reason))
        return fail_as(failure, &reason);
    return count;
}

/* ---- when ----------------------------------------------------------------------------- */

static bool begin_turn(struct mend_turn *turn, int pause_seconds, uint64_t now_ns)
{
    const uint64_t pause_ns = (uint64_t)pause_seconds * SECOND_NS;

    if (turn->last_ns != 0 &&
        now_ns - turn->last_ns < pause_ns * (turn->in_vain ? PAUSES_IN_VAIN : 1))
        return false;
    *turn = (struct mend_turn){.last_ns = now_ns, .in_vain = true};
    return true;
}

bool mend_met(struct db *db, struct mender *mender, const struct trit_report *report,
              const struct failure *damage, uint64_t now_ns)
{
    struct failure failure = *damage;
    struct layer_key key;
    int count = 0;

    if (!damage_is_of_rows(db, &failure))
        return false;
    layer_key_set(&key, report->run, report->layer);
    if (begin_turn(&mender->met, MET_PAUSE_SECONDS, now_ns)) {
        count = layers_mend_near(db, &key, &failure);
        mender->met.in_vain = count == 0;
    }
    if (count <= 0)
        mend_asked(mender, now_ns);
    return count > 0;
}

void mend_asked(struct mender *mender, uint64_t now_ns)
{
    if (mender->all.stage == MENDING_DONE &&
        begin_turn(&mender->asked, ASKED_PAUSE_SECONDS, now_ns))
        mender->all = (struct mending){.stage = MENDING_STRAYS};
}
