/* SPDX-License-Identifier: Apache-2.0 */
/* The comparison of two checkpoints. */
#include "drive/diff.h"

#include <jansson.h>
#include <stdio.h>

#include "memory_reader.h"
#include "tests/lib/fault.h"

enum { COLUMNS = 64, VALUES = 2 * COLUMNS };

/* Two layers, a norm, and a tensor that the other side lacks. */
struct content_of {
    float first[VALUES], second[VALUES], norm[4], alone[1];
};

static struct memory_file file_of(const struct content_of *content, const char *alone)
{
    char header[512];

    snprintf(
        header, sizeof(header),
        "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,64],\"data_offsets\":[0,512]},"
        "\"b.weight\":{\"dtype\":\"F32\",\"shape\":[2,64],\"data_offsets\":[512,1024]},"
        "\"norm.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[1024,1040]},"
        "\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1040,1044]}}",
        alone);
    return memory_file(header, content, sizeof(*content));
}

static struct content_of ternary(void)
{
    struct content_of content = {.norm = {1, 2, 3, 4}};

    for (int i = 0; i < VALUES; i++)
        content.first[i] = content.second[i] = 0.5F * (float)(i % 3 - 1);
    return content;
}

/* What a run tells its owner, in order. */
struct told {
    char text[256];
};

static void tell(struct told *told, const char *name, const char *what)
{
    const size_t used = strlen(told->text);

    snprintf(told->text + used, sizeof(told->text) - used, "%s: %s\n", name, what);
}

static void layer(void *owner, const char *name, const struct layer_diff *diff)
{
    char text[64];

    snprintf(text, sizeof(text), "%d codes", (int)diff->codes_differing);
    tell(owner, name, text);
}

static void other(void *owner, const char *name, const char *what)
{
    tell(owner, name, what ? what : "equal");
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

static int open_side(struct side *side, const struct memory_file *file,
                     const struct checkpoint_options *options, struct failure *failure)
{
    struct layer_terms terms;

    side->input.reader = memory_reader(file, failure);
    return side->input.reader && side_read_terms(side, options, &terms, failure) == 0
               ? side_read_contents(side, &terms, failure)
               : -1;
}

struct run {
    struct memory_file a, b;
    struct checkpoint_options options;
    const struct progress_ops *ops;
    /* afterwards */
    struct told told;
    uint64_t done, total, pieces, expected;
    bool equal;
    struct failure failure;
};

static int compare(struct run *run)
{
    struct progress progress;
    struct diffing d;
    int result;

    run->told.text[0] = '\0';
    run->failure = (struct failure){.status = TRIT_OK};
    diff_init(&d);
    d.progress = &progress;
    d.layer = layer;
    d.other = other;
    d.owner = &run->told;
    result = open_side(&d.a, &run->a, &run->options, &d.failure) < 0 ||
                     open_side(&d.b, &run->b, &run->options, &d.failure) < 0
                 ? -1
                 : diff_prepare(&d);
    progress_init(&progress, run->ops, 0);
    if (result == 0) {
        run->total = diff_bytes(&d);
        run->expected = diff_piece_count(&d);
        result = diff_run(&d);
    }
    run->done = progress.done;
    run->pieces = progress.pieces;
    run->equal = diff_is_equal(&d);
    run->failure = d.failure;
    progress_fini(&progress);
    diff_fini(&d);
    return result;
}

static void run_free(struct run *run)
{
    free(run->a.bytes);
    free(run->b.bytes);
}

CASE(finds, "tensors are told of in the order of the first file, then of the second")
{
    struct content_of content = ternary();
    struct run run = {.a = file_of(&content, "x"), .ops = &goes_on};

    content.first[7] = 0.5F; /* from 0 */
    content.norm[2] = 7;
    run.b = file_of(&content, "y");
    CHECK_EQ(compare(&run), 0);
    CHECK(!run.equal);
    CHECK_STR(run.told.text,
              "a.weight: 1 codes\nb.weight: 0 codes\nnorm.bias: 1 elements "
              "differ\nx: only in the first\ny: only in the second\n");
    CHECK_EQ(run.done, run.total);
    CHECK_EQ(run.pieces, run.expected);
    CHECK_EQ(run.pieces, 5);
    run_free(&run);
}

CASE(equal, "a file is equal to itself")
{
    const struct content_of content = ternary();
    struct run run = {
        .a = file_of(&content, "x"), .b = file_of(&content, "x"), .ops = &goes_on};

    CHECK_EQ(compare(&run), 0);
    CHECK(run.equal);
    run_free(&run);
}

CASE(stops_early, "a run that has to stop fails, and so does a pattern without a tensor")
{
    const struct content_of content = ternary();
    struct run run = {
        .a = file_of(&content, "x"), .b = file_of(&content, "x"), .ops = &stops};
    const char *pattern = "none*";

    CHECK(compare(&run) < 0);
    CHECK_EQ(run.failure.status, TRIT_CANCELLED);
    run.ops = &goes_on;
    run.options.transposed = (struct name_patterns){&pattern, 1};
    CHECK(compare(&run) < 0);
    CHECK_STR(run.failure.message, "the pattern 'none*' matches no tensor");
    run_free(&run);
}

CASE(no_memory, "whichever allocation fails, the run fails or finds the same")
{
    const struct content_of content = ternary();
    struct run run = {
        .a = file_of(&content, "x"), .b = file_of(&content, "y"), .ops = &goes_on};
    bool faulted = true;

    for (uint64_t n = 1; faulted; n++) {
        CHECK(n < 1000);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = compare(&run);

        faulted = fault_disarm();
        if (result < 0)
            CHECK_EQ(run.failure.status, TRIT_RESOURCE_EXHAUSTED);
        else
            CHECK_STR(run.told.text,
                      "a.weight: 0 codes\nb.weight: 0 codes\nnorm.bias: "
                      "equal\nx: only in the first\ny: only in the second\n");
    }
    run_free(&run);
}
