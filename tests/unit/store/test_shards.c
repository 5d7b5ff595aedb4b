/* SPDX-License-Identifier: Apache-2.0 */
/* Shards of a layer become its report, or wait, whatever write or allocation fails. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shards/join.h"
#include "store/slots.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/store_faults.h"
#include "tests/lib/store_fixture.h"
#include "tests/lib/store_sql.h"

enum {
    ROWS = 512,        /* of each of two shards */
    ROWS_SLOTS = 2560, /* of such whose codes fill a slot and a part of a chunk */
    ROW = 512,
    GROUP = 128,
    CODES_ROW = ROW / 4,
    CODES_BYTES_MAX = ROWS_SLOTS * CODES_ROW,
};

static uint64_t rows = ROWS;

/* A shard on its way; the report of the layer has the sum of all codes as its digest. */
struct part {
    struct store_shard shard;
    struct fixture_put put;
    uint64_t groups, sum, at;
    bool begun, ended;
    int (*broken)(struct part *part); /* NULL: nothing fails */
};

static struct part part_of_shard;

static int begin(struct store_shard *shard, const struct shard_found *layer,
                 struct failure *failure)
{
    struct part *part = (struct part *)(void *)shard;

    CHECK_EQ(layer->counts.zeros, 2 * rows * ROW);
    part->begun = true;
    if (part->broken && part->broken(part) < 0)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to begin");
    return 0;
}

static void codes(struct store_shard *shard, const uint8_t *bytes, size_t count)
{
    struct part *part = (struct part *)(void *)shard;

    for (size_t i = 0; i < count; i++)
        part->sum += bytes[i] * ++part->at;
}

static float group(struct store_shard *shard, const struct shard_group_row *row)
{
    ((struct part *)(void *)shard)->groups++;
    return row->scale;
}

static int end(struct store_shard *shard, struct trit_report *report,
               struct failure *failure)
{
    struct part *part = (struct part *)(void *)shard;

    part->ended = true;
    if (!report)
        return 0;
    if (part->broken && part->broken(part) < 0)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory to end");
    CHECK_EQ(part->groups, 2 * rows * ROW / GROUP);
    fixture_report(report, "run", "layer", 0, 0, 2 * rows, ROW, GROUP);
    memcpy(report->digest, &part->sum, sizeof(part->sum));
    return 0;
}

static void init(struct part *part, struct store_fixture *fixture, uint64_t step,
                 unsigned which)
{
    const uint64_t shape[2] = {rows, ROW}, global[2] = {2 * rows, ROW},
                   offset[2] = {which * rows, 0};
    const struct shard_place place = {.rank = 2,
                                      .shape = shape,
                                      .global_rank = 2,
                                      .global_shape = global,
                                      .offset = offset,
                                      .group_size = GROUP};

    *part = (struct part){
        .shard = {.begin = begin, .codes = codes, .group = group, .end = end}};
    CHECK(shard_box_init(&part->shard.state.box, &place, NULL) == 0);
    part->shard.state.terms[SHARD_GROUP_SIZE] = GROUP;
    shard_found_init(&part->shard.state.found);
    part->shard.state.found.counts.zeros = rows * ROW;
    part->put.fixture = fixture;
    fixture_report(&part->put.report, "run", "layer", step, 1000 + which, rows, ROW,
                   GROUP);
    part->put.report.shard_rank = 2;
    memcpy(part->put.report.shard_global_shape, global, sizeof(global));
    memcpy(part->put.report.shard_offset, offset, sizeof(offset));
    part->put.put.report = &part->put.report;
    part->put.put.shard = &part->shard;
    part->put.put.done = fixture_done;
}

/* A byte of a shard's codes. */
static uint8_t code(uint64_t step, unsigned which, size_t at)
{
    return (uint8_t)((at * (which + 3) + step) % 251);
}

static enum trit_status send(struct store_fixture *fixture, struct part *part,
                             unsigned which)
{
    static uint8_t bytes[CODES_BYTES_MAX];
    uint8_t group_rows[SHARD_GROUP_BYTES_MAX];

    for (size_t i = 0; i < rows * CODES_ROW; i++)
        bytes[i] = code(part->put.report.step, which, i);
    if (store_begin(&part->put.put, fixture->store, &part->put.put.failure))
        return part->put.put.failure.status;
    store_codes(&part->put.put, bytes, rows * CODES_ROW);
    for (size_t i = 0; i < rows * ROW / GROUP; i++) {
        const struct shard_group_row row = {.scale = (float)(i + 1)};

        store_groups(&part->put.put, group_rows,
                     shard_group_encode(&row, false, group_rows));
    }
    store_commit(&part->put.put);
    fixture_put_wait(&part->put);
    CHECK(!part->begun || part->ended || part->broken);
    return part->put.put.failure.status;
}

static enum trit_status file(struct store_fixture *fixture, uint64_t step, unsigned which)
{
    init(&part_of_shard, fixture, step, which);
    return send(fixture, &part_of_shard, which);
}

/* The digest of the layer's report, or 0 while shards are missing. */
static uint64_t digest(struct store_fixture *fixture, uint64_t step)
{
    struct store_reader *reader;
    struct trit_report report;
    uint64_t found = 0;

    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    CHECK(store_read_report(reader, GET("run", "layer", true, step), &report, NULL) == 0);
    CHECK(report.has_stored && report.stored);
    if (report.shards_expected == 0)
        memcpy(&found, report.digest, sizeof(found));
    store_reader_close(reader);
    return found;
}

static uint64_t wanted(uint64_t step)
{
    uint64_t sum = 0, at = 0;

    for (unsigned which = 0; which < 2; which++)
        for (size_t i = 0; i < rows * CODES_ROW; i++)
            sum += code(step, which, i) * ++at;
    return sum;
}

/* What is left when every layer is complete: the codes and scales of the newest. */
static void check_tidy(struct store_fixture *fixture)
{
    store_sql_until(fixture, "SELECT COUNT(*) FROM shards", 0);
    store_sql_until_uploads(fixture, 2);
}

CASE(orders, "the codes of a layer are joined in its order, whichever shard comes last")
{
    struct store_fixture fixture;

    store_fixture_init(&fixture, false);
    for (uint64_t step = 1; step <= 2; step++) {
        CHECK_EQ(file(&fixture, step, step == 1), TRIT_OK);
        CHECK_EQ(digest(&fixture, step), 0);
        CHECK_EQ(file(&fixture, step, step == 2), TRIT_OK);
        CHECK_EQ(digest(&fixture, step), wanted(step));
    }
    check_tidy(&fixture);
    CHECK_EQ(file(&fixture, 2, 0), TRIT_OK);
    CHECK(part_of_shard.put.put.existed);
    store_fixture_fini(&fixture);
}

/* Both shards of a step, until the layer is complete. Those that were acknowledged stay. */
static unsigned disk_walk(bool sticky, unsigned which)
{
    struct store_fixture fixture;
    unsigned failures = 0;
    uint64_t step = 1;

    store_fixture_init(&fixture, false);
    for (uint64_t nth = 1; nth < 1000; nth += 1 + nth / 8, step++) {
        enum trit_status status;

        if (which == 1)
            CHECK_EQ(file(&fixture, step, 0), TRIT_OK);
        disk_arm(nth, sticky);
        status = file(&fixture, step, which);
        if (!disk_disarm())
            break;
        failures += status != TRIT_OK;
        CHECK(status == TRIT_OK || status == TRIT_UNAVAILABLE);
        if (status != TRIT_OK && which == 1)
            CHECK_EQ(digest(&fixture, step), 0);
        CHECK_EQ(file(&fixture, step, 1), TRIT_OK);
        CHECK_EQ(file(&fixture, step, 0), TRIT_OK);
        CHECK_EQ(part_of_shard.put.put.existed, which == 1 || status == TRIT_OK);
        CHECK_EQ(digest(&fixture, step), wanted(step));
    }
    store_fixture_close_store(&fixture);
    CHECK(store_fixture_open_store(&fixture, NULL) == 0);
    for (uint64_t i = 1; i < step; i++)
        CHECK_EQ(digest(&fixture, i), wanted(i));
    store_fixture_fini(&fixture);
    return failures;
}

CASE(disk_joins,
     "if a write fails while shards are joined, all wait, and a repeat joins them")
{
    CHECK(disk_walk(false, 1) > 3);
    CHECK(disk_walk(true, 1) > 3);
}

CASE(disk_waits,
     "if a write of a shard that waits fails, it is not there, and a repeat is")
{
    CHECK(disk_walk(false, 0) > 0);
}

CASE(memory,
     "whichever allocation fails, no shard is lost, and a repeat completes the layer")
{
    struct store_fixture fixture;
    bool fired = true;
    uint64_t step = 1;
    unsigned failures = 0;

    store_fixture_init(&fixture, true);
    for (uint64_t nth = 1; fired && nth < 100000; nth += 1 + nth / 16, step++) {
        enum trit_status status;

        CHECK_EQ(file(&fixture, step, 0), TRIT_OK);
        init(&part_of_shard, &fixture, step, 1);
        fault_arm(FAULT_MEMORY, nth, FAULT_ONCE);
        status = send(&fixture, &part_of_shard, 1);
        fired = fault_disarm();
        failures += status != TRIT_OK;
        CHECK(status == TRIT_OK || (fired && (status == TRIT_UNAVAILABLE ||
                                              status == TRIT_RESOURCE_EXHAUSTED)));
        CHECK_EQ(file(&fixture, step, 1), TRIT_OK);
        CHECK_EQ(part_of_shard.put.put.existed, status == TRIT_OK);
        CHECK_EQ(digest(&fixture, step), wanted(step));
    }
    CHECK(!fired && failures > 3);
    store_fixture_fini(&fixture);
}

static unsigned calls_left;

static int break_later(struct part *part)
{
    (void)part;
    return calls_left-- == 0 ? -1 : 0;
}

CASE(report_fails, "if the layer's report cannot be made, only the last shard is refused")
{
    struct store_fixture fixture;

    store_fixture_init(&fixture, false);
    CHECK_EQ(file(&fixture, 1, 0), TRIT_OK);
    for (unsigned calls = 0; calls < 2; calls++) { /* in begin, in end */
        calls_left = calls;
        init(&part_of_shard, &fixture, 1, 1);
        part_of_shard.broken = break_later;
        CHECK_EQ(send(&fixture, &part_of_shard, 1), TRIT_RESOURCE_EXHAUSTED);
        CHECK_EQ(digest(&fixture, 1), 0);
        store_sql_until_uploads(&fixture, 2);
    }
    CHECK_EQ(file(&fixture, 1, 1), TRIT_OK);
    CHECK_EQ(digest(&fixture, 1), wanted(1));
    check_tidy(&fixture);
    store_fixture_fini(&fixture);
}

/* ---- in slots --------------------------------------------------------------------- */

/* Codes that differ from those of the step before; code 3 is none. */
static uint64_t flips_to(uint64_t step)
{
    uint64_t flips = 0;

    for (unsigned which = 0; which < 2; which++)
        for (size_t i = 0; i < rows * CODES_ROW; i++)
            for (unsigned shift = 0; shift < 8; shift += 2) {
                const unsigned from = code(step - 1, which, i) >> shift & 3;
                const unsigned to = code(step, which, i) >> shift & 3;

                flips += from < 3 && to < 3 && from != to;
            }
    return flips;
}

static void check_step(struct store_fixture *fixture, uint64_t step)
{
    struct store_reader *reader;
    struct trit_report report;

    CHECK_EQ(digest(fixture, step), wanted(step));
    CHECK(store_reader_open(&reader, fixture->store, NULL) == 0);
    CHECK(store_read_report(reader, GET("run", "layer", true, step), &report, NULL) == 0);
    CHECK_EQ(report.has_previous, step > 1);
    if (step > 1)
        CHECK_EQ(report.flips, flips_to(step));
    store_reader_close(reader);
}

static void open_again(struct store_fixture *fixture)
{
    store_fixture_close_store(fixture);
    CHECK(store_fixture_open_store(fixture, NULL) == 0);
}

CASE(in_slots,
     "shards that wait in slots make each report of a history, over restarts too")
{
    enum { STEPS = 6 };
    struct store_fixture fixture;

    rows = ROWS_SLOTS;
    store_fixture_init(&fixture, false);
    fixture.codes_max = 0; /* codes of the newest step only */
    open_again(&fixture);
    for (uint64_t step = 1; step <= STEPS; step++) {
        CHECK_EQ(file(&fixture, step, step & 1), TRIT_OK);
        CHECK_EQ(store_sql(&fixture, "SELECT COUNT(*) FROM codes, shards WHERE slot IS "
                                     "NOT NULL AND codes.upload = shards.upload"),
                 1);
        if (step % 3 == 0)
            open_again(&fixture);
        CHECK_EQ(file(&fixture, step, ~step & 1), TRIT_OK);
        check_step(&fixture, step);
    }
    open_again(&fixture);
    for (uint64_t step = 1; step <= STEPS; step++)
        check_step(&fixture, step);
    store_fixture_fini(&fixture);
    rows = ROWS;
}

/* Changes a byte of the slot, or changes it back. */
static void damage_waiting(const struct store_fixture *fixture, int64_t slot)
{
    char path[FIXTURE_PATH_BYTES + 16];
    const off_t at = slot * SLOT_BYTES + 4242;
    uint8_t byte;
    int fd;

    snprintf(path, sizeof(path), "%s/codes.slots", fixture->directory);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 1;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

CASE(damaged_slot, "a shard that waits in a damaged slot makes no report, and is named")
{
    struct store_fixture fixture;
    int64_t slot;

    rows = ROWS_SLOTS;
    store_fixture_init(&fixture, false);
    CHECK_EQ(file(&fixture, 1, 0), TRIT_OK);
    slot =
        store_sql(&fixture, "SELECT slot FROM codes, shards WHERE slot IS NOT NULL AND "
                            "codes.upload = shards.upload");
    damage_waiting(&fixture, slot);
    CHECK_EQ(file(&fixture, 1, 1), TRIT_DATA_LOSS);
    CHECK(strstr(part_of_shard.put.put.failure.message, "of codes.slots is damaged"));
    CHECK_EQ(digest(&fixture, 1), 0);
    damage_waiting(&fixture, slot);
    CHECK_EQ(file(&fixture, 1, 1), TRIT_OK);
    check_step(&fixture, 1);
    store_fixture_fini(&fixture);
    rows = ROWS;
}

int main(int argc, char **argv)
{
    store_faults_init();
    return check_main(argc, argv);
}
