/* SPDX-License-Identifier: Apache-2.0 */
/* The packing of a checkpoint: what its engine is asked, and what becomes of it. */
#include "drive/pack.h"

#include <stdio.h>
#include <unistd.h>

#include "checkpoint/plan_pack.h"
#include "drive/planned.h"
#include "memory_reader.h"
#include "tests/lib/fault.h"

enum { ROWS = 3, COLUMNS = 1 << 20, GROUP = 1 << 16 }; /* a call takes one row */

/* An engine that writes zeros and notes what it was asked. */
struct noting {
    size_t calls, fails_at; /* fails_at 0: never */
    uint64_t rows, scale_bytes;
    float first_scales[8]; /* of each call */
};

static int write_zeros(const struct engine_pack *what, uint64_t bytes)
{
    static const uint8_t zeros[1 << 16];
    uint64_t at = 0;

    for (; at < bytes; at += sizeof(zeros))
        if (what->write(what->write_arg, at, zeros,
                        bytes - at < sizeof(zeros) ? bytes - at : sizeof(zeros)) < 0)
            return -1;
    return 0;
}

static int note(void *arg, const struct engine_pack *what,
                struct progress_piece *progress, struct engine_projected *result,
                struct failure *failure)
{
    struct noting *noting = arg;

    if (progress_update(progress, what->source.matrix->bytes, 0) != 0)
        return fail(failure, TRIT_CANCELLED, NULL, "stopped");
    if (what->scales && noting->calls < 8)
        memcpy(&noting->first_scales[noting->calls], what->scales, sizeof(float));
    noting->rows = what->rows;
    noting->scale_bytes = what->scale_bytes;
    if (++noting->calls == noting->fails_at)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "group 5 is odd");
    result->report.findings[0] =
        (struct trit_finding){.kind = TRIT_FINDING_SCALE_ROUNDED, .count = 2};
    result->report.finding_count = what->to != TRIT_ENCODING_DENSE;
    result->data_bytes = what->to == TRIT_ENCODING_DENSE
                             ? what->rows * what->columns * dtype_bytes(what->dtype)
                             : what->rows * what->columns / 128 * 34;
    return write_zeros(what, result->data_bytes);
}

static int go_on(struct progress *progress, struct failure *failure)
{
    (void)progress, (void)failure;
    return 0;
}
static int stop(struct progress *progress, struct failure *failure)
{
    (void)progress;
    return fail(failure, TRIT_CANCELLED, NULL, "stopped");
}
static const struct progress_ops goes_on = {.check = go_on}, stops = {.check = stop};

/* Codes of int8 in `rows` rows, one scale a group: row + 1, or a third where `odd`. */
static struct memory_file int8_file(uint64_t rows, uint64_t columns, uint64_t group,
                                    bool odd)
{
    const uint64_t codes = rows * columns, scales = codes / group * sizeof(float);
    char header[256];
    char *data = calloc(1, codes + scales);
    struct memory_file file;

    CHECK(data);
    memset(data, 1, codes);
    for (uint64_t i = 0; i < codes / group; i++) {
        const float scale = odd ? 1 / 3.0F : (float)(i / (columns / group)) + 1;

        memcpy(data + codes + i * sizeof(scale), &scale, sizeof(scale));
    }
    snprintf(header, sizeof(header),
             "{\"l.weight\":{\"dtype\":\"I8\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]},"
             "\"l.weight.scales\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":"
             "[%d,%d]}}",
             (int)rows, (int)columns, (int)codes, (int)rows, (int)(columns / group),
             (int)codes, (int)(codes + scales));
    file = memory_file(header, data, codes + scales);
    free(data);
    return file;
}

struct run {
    struct memory_file file;
    struct pack_target target;
    uint32_t group_size; /* of the source */
    const struct progress_ops *ops;
    struct noting noting;
    /* afterwards */
    uint64_t rounded, done, pieces;
    struct failure failure;
};

static int open_input(struct run *run, struct side *side)
{
    const struct checkpoint_options options = {.has_encoding = true,
                                               .encoding = TRIT_ENCODING_INT8,
                                               .group_size = run->group_size};
    struct layer_terms terms;

    side->input.reader = memory_reader(&run->file, &run->failure);
    return side->input.reader &&
                   side_read_terms(side, &options, &terms, &run->failure) == 0
               ? side_read_contents(side, &terms, &run->failure)
               : -1;
}

static int pack_to(struct run *run, const char *path)
{
    const struct engine engine = {.arg = &run->noting, .pack = note};
    struct progress progress;
    struct repacking p;
    int result;

    run->failure = (struct failure){.status = TRIT_OK};
    pack_init(&p);
    progress_init(&progress, run->ops, 0);
    p.engine = &engine;
    p.progress = &progress;
    result = open_input(run, &p.input);
    if (result == 0)
        result = plan_create_pack(&p.plan, &p.input.rules, &run->target,
                                  p.input.contents.table, &p.input.record, &run->failure);
    if (result == 0)
        result = planned_create(&p.writer, path, TARGET_REPLACE, &p.plan,
                                p.input.input.reader, 0, &run->failure);
    if (result == 0) {
        result = pack_run(&p);
        run->failure = p.failure;
    }
    if (result == 0)
        result = writer_commit(p.writer, &run->failure);
    run->rounded = p.rounded;
    run->done = progress.done;
    run->pieces = progress.pieces;
    progress_fini(&progress);
    pack_fini(&p);
    return result;
}

/* The output's folder is empty afterwards. */
static int pack(struct run *run)
{
    char folder[] = "/tmp/test_pack_XXXXXX", path[64];
    int result;

    CHECK(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/out.safetensors", folder);
    result = pack_to(run, path);
    CHECK_EQ(unlink(path), result);
    CHECK_EQ(rmdir(folder), 0);
    free(run->file.bytes);
    return result;
}

CASE(unpacks_rows, "rows of a large matrix are unpacked one call each, with their scales")
{
    struct run run = {.file = int8_file(ROWS, COLUMNS, GROUP, false),
                      .target = {.encoding = TRIT_ENCODING_DENSE, .dtype = TRIT_F32},
                      .group_size = GROUP,
                      .ops = &goes_on};

    CHECK_EQ(pack(&run), 0);
    CHECK_EQ(run.noting.calls, ROWS);
    CHECK_EQ(run.noting.rows, 1);
    CHECK_EQ(run.noting.scale_bytes, COLUMNS / GROUP * sizeof(float));
    for (size_t i = 0; i < ROWS; i++)
        CHECK(run.noting.first_scales[i] == (float)i + 1);
    CHECK_EQ(run.done, ROWS * COLUMNS);
    CHECK_EQ(run.pieces, 1);
    CHECK_EQ(run.rounded, 0);
}

CASE(counts_rounded, "groups whose values the output's type rounds are counted")
{
    struct run run = {.file = int8_file(ROWS, COLUMNS, GROUP, true),
                      .target = {.encoding = TRIT_ENCODING_DENSE, .dtype = TRIT_BF16},
                      .group_size = GROUP,
                      .ops = &goes_on};

    CHECK_EQ(pack(&run), 0);
    CHECK_EQ(run.rounded, ROWS * COLUMNS / GROUP);
}

CASE(packs, "a matrix is packed in one call, with scales for the output's groups")
{
    struct run run = {.file = int8_file(2, 512, 256, false),
                      .target = {.encoding = TRIT_ENCODING_PQ2_0, .group_size = 128},
                      .group_size = 256,
                      .ops = &goes_on};

    CHECK_EQ(pack(&run), 0);
    CHECK_EQ(run.noting.calls, 1);
    CHECK_EQ(run.noting.rows, 2);
    CHECK_EQ(run.noting.scale_bytes, 2 * 4 * sizeof(float));
    CHECK_EQ(run.rounded, 2); /* the report says so */
}

CASE(fails, "a failure names the layer, and the row from which it counts")
{
    struct run run = {.file = int8_file(ROWS, COLUMNS, GROUP, false),
                      .target = {.encoding = TRIT_ENCODING_DENSE, .dtype = TRIT_F32},
                      .group_size = GROUP,
                      .ops = &goes_on,
                      .noting = {.fails_at = 2}};

    CHECK(pack(&run) < 0);
    CHECK_STR(run.failure.message, "l.weight: counted from row 1: group 5 is odd");
}

CASE(is_stopped, "a run that has to stop is cancelled")
{
    struct run run = {.file = int8_file(2, 512, 256, false),
                      .target = {.encoding = TRIT_ENCODING_PQ2_0},
                      .group_size = 256,
                      .ops = &stops};

    CHECK(pack(&run) < 0);
    CHECK_EQ(run.failure.status, TRIT_CANCELLED);
    CHECK_EQ(run.noting.calls, 0);
}

CASE(no_memory, "whichever allocation fails, nothing but a whole output is left")
{
    bool faulted = true;

    for (uint64_t n = 1; faulted; n++) {
        struct run run = {.file = int8_file(2, 512, 256, false),
                          .target = {.encoding = TRIT_ENCODING_PQ2_0, .group_size = 128},
                          .group_size = 256,
                          .ops = &goes_on};

        CHECK(n < 1000);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = pack(&run);
        faulted = fault_disarm();
        if (result < 0)
            CHECK_EQ(run.failure.status, TRIT_RESOURCE_EXHAUSTED);
    }
}
