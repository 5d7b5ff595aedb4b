/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of trit.h about files of tensors that are read and written. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/fault.h"
#include "tests/unit/lib/checkpoints.h"

enum { ROWS = 4, COLUMNS = 128, WEIGHTS = ROWS * COLUMNS };

/* A folder of its own, and paths in it. */
struct place {
    char folder[64], path[128], other[128];
};

static void place_init(struct place *place)
{
    snprintf(place->folder, sizeof(place->folder), "/tmp/trit-lib-XXXXXX");
    CHECK(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/a.safetensors", place->folder);
    snprintf(place->other, sizeof(place->other), "%s/b.safetensors", place->folder);
}

static void place_fini(const struct place *place)
{
    unlink(place->path);
    unlink(place->other);
    CHECK_EQ(rmdir(place->folder), 0); /* nothing else was left there */
}

static struct trit_checkpoint *layer_create(void)
{
    struct trit_checkpoint *table = table_create();

    add(table, "up.weight", "F32", ROWS, COLUMNS);
    add(table, "up.bias", "F32", ROWS, 0);
    return table;
}

static float weight_at(size_t index)
{
    return (float)index / 8 - 3;
}

static enum trit_status put_all(struct trit_output *output)
{
    static const float bias[ROWS] = {1, 2, 3, 4};
    float weights[WEIGHTS];

    for (size_t i = 0; i < WEIGHTS; i++)
        weights[i] = weight_at(i);
    enum trit_status status =
        trit_output_put(output, "up.bias", bias, sizeof(bias), NULL);
    if (status == TRIT_OK)
        status = trit_output_put(output, "up.weight", weights, 512, NULL);
    return status != TRIT_OK ? status
                             : trit_output_put(output, "up.weight", weights + 128,
                                               sizeof(weights) - 512, NULL);
}

/* Writes the two tensors as a dense output of their plan would hold them. */
static enum trit_status write_file(const char *path, bool replace)
{
    const struct trit_output_options options = {.size = sizeof(options),
                                                .replace = replace};
    struct trit_checkpoint *table = layer_create();
    struct trit_plan *plan = plan_of(table, NULL);
    struct trit_output *output = NULL;
    enum trit_status status =
        trit_output_create(&output, path, plan, NULL, &options, NULL);

    if (status == TRIT_OK)
        status = put_all(output);
    if (status == TRIT_OK)
        status = trit_output_commit(output, NULL);
    trit_output_free(output);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
    return status;
}

CASE(reads_what_was_written, "a file that was written is read back, table and bytes")
{
    struct place place;
    struct trit_file *file = NULL;
    float piece[2];
    char *text = NULL;

    place_init(&place);
    CHECK_EQ(write_file(place.path, false), TRIT_OK);
    CHECK_EQ(trit_file_open(&file, place.path, NULL, NULL), TRIT_OK);
    CHECK(!trit_file_is_folder(file));
    CHECK_EQ(trit_checkpoint_table(trit_file_checkpoint(file), &text, NULL), TRIT_OK);
    json_t *json = parsed(text);
    CHECK_EQ(digits_of(tensor_of(json, "up.weight"), "bytes"), 4 * WEIGHTS);
    CHECK(digits_of(tensor_of(json, "up.bias"), "offset") > 0);
    CHECK_STR(text_of(json_object_get(json, "metadata"), "format"), "pt");
    json_decref(json);
    CHECK_EQ(trit_file_read(file, "up.weight", 4 * 200, piece, sizeof(piece), NULL),
             TRIT_OK);
    CHECK(piece[0] == weight_at(200) && piece[1] == weight_at(201));
    CHECK_EQ(trit_file_unchanged(file, NULL), TRIT_OK);
    CHECK_EQ(trit_file_read(file, "nobody", 0, piece, 4, NULL), TRIT_NOT_FOUND);
    CHECK_EQ(trit_file_read(file, "up.bias", 12, piece, 8, NULL), TRIT_INVALID_ARGUMENT);
    trit_checkpoint_free(trit_file_checkpoint(file)); /* the file's: left alone */
    trit_file_close(file);
    place_fini(&place);
}

CASE(keeps_what_is_there, "an existing output is kept unless replacing it was asked for")
{
    struct place place;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_checkpoint *table = layer_create();
    struct trit_plan *plan = plan_of(table, NULL);
    struct trit_output *output = NULL;

    place_init(&place);
    CHECK_EQ(write_file(place.path, false), TRIT_OK);
    CHECK_EQ(write_file(place.path, false), TRIT_ALREADY_EXISTS);
    CHECK_EQ(write_file(place.path, true), TRIT_OK);
    CHECK_EQ(trit_output_create(&output, place.other, plan, NULL, NULL, NULL), TRIT_OK);
    CHECK_EQ(trit_output_put(output, "nobody", table, 4, NULL), TRIT_NOT_FOUND);
    CHECK(trit_output_commit(output, &error) != TRIT_OK); /* no tensor is full */
    trit_output_free(output);
    CHECK_EQ(trit_output_create(&output, place.other, plan, NULL, NULL, &error),
             TRIT_FAILED_PRECONDITION);
    CHECK(access(place.other, F_OK) != 0);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
    place_fini(&place);
}

CASE(the_source_is_no_output, "the input file is never overwritten")
{
    const struct trit_output_options options = {.size = sizeof(options), .replace = true};
    struct place place;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_file *file = NULL;
    struct trit_output *output = NULL;
    struct trit_checkpoint_options again = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_plan *plan;

    place_init(&place);
    CHECK_EQ(write_file(place.path, false), TRIT_OK);
    CHECK_EQ(trit_file_open(&file, place.path, NULL, NULL), TRIT_OK);
    plan = plan_of(trit_file_checkpoint(file), NULL); /* it has a record */
    CHECK_EQ(trit_output_create(&output, place.other, plan, file, &options, &error),
             TRIT_FAILED_PRECONDITION);
    CHECK(strstr(error.message, "record of a projection"));
    trit_plan_free(plan);
    again.again = true;
    plan = plan_of(trit_file_checkpoint(file), &again);
    CHECK_EQ(symlink(place.path, place.other), 0);
    CHECK_EQ(trit_output_create(&output, place.other, plan, file, &options, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "the source itself"));
    trit_plan_free(plan);
    trit_file_close(file);
    place_fini(&place);
}

CASE(null_is_invalid, "a NULL argument gives INVALID_ARGUMENT and its name")
{
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_file *file = NULL;

    CHECK_EQ(trit_file_open(NULL, "a", NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "file");
    CHECK_EQ(trit_file_open(&file, NULL, NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "path");
    CHECK_EQ(trit_file_open(&file, "/nobody/here", NULL, &error), TRIT_NOT_FOUND);
    CHECK(strstr(error.message, "/nobody/here"));
    CHECK_EQ(trit_file_read(NULL, "a", 0, NULL, 0, &error), TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_file_unchanged(NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_checkpoint_table(NULL, NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_output_create(NULL, NULL, NULL, NULL, NULL, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "output");
    CHECK_EQ(trit_output_put(NULL, NULL, NULL, 0, &error), TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_output_commit(NULL, &error), TRIT_INVALID_ARGUMENT);
    CHECK(!trit_file_checkpoint(NULL) && !trit_file_is_folder(NULL));
    trit_output_free(NULL);
    trit_file_close(NULL);
}

CASE(lacks_memory, "whichever allocation fails, the file stays unchanged")
{
    struct place place;
    bool faulted = true;

    place_init(&place);
    CHECK_EQ(write_file(place.path, false), TRIT_OK);
    for (uint64_t n = 1; faulted; n++) {
        struct trit_checkpoint_options again = {.size = sizeof(again), .again = true};
        struct trit_file *file = NULL;
        struct trit_plan *plan = NULL;
        struct trit_output *output = NULL;
        char *text = NULL;

        CHECK(n < 5000);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        enum trit_status status = trit_file_open(&file, place.path, NULL, NULL);
        if (status == TRIT_OK)
            status = trit_checkpoint_table(trit_file_checkpoint(file), &text, NULL);
        if (status == TRIT_OK)
            status = trit_plan_create(&plan, trit_file_checkpoint(file), &again, NULL);
        if (status == TRIT_OK)
            status = trit_output_create(&output, place.other, plan, file, NULL, NULL);
        if (status == TRIT_OK)
            status = put_all(output);
        if (status == TRIT_OK)
            status = trit_output_commit(output, NULL);
        trit_output_free(output);
        faulted = fault_disarm();
        trit_plan_free(plan);
        trit_file_close(file);
        trit_free(text);
        CHECK(faulted || status == TRIT_OK);
        CHECK((access(place.other, F_OK) == 0) == (status == TRIT_OK));
        unlink(place.other);
    }
    place_fini(&place);
}

/* Puts the rows of up.weight into the file from the last to the first. */
static enum trit_status write_backwards(const char *path)
{
    static const float bias[ROWS] = {1, 2, 3, 4};
    struct trit_checkpoint *table = layer_create();
    struct trit_plan *plan = plan_of(table, NULL);
    struct trit_output *output = NULL;
    float row[COLUMNS];

    CHECK(trit_output_create(&output, path, plan, NULL, NULL, NULL) == TRIT_OK);
    CHECK(trit_output_put(output, "up.bias", bias, sizeof(bias), NULL) == TRIT_OK);
    for (size_t i = ROWS; i-- > 0;) {
        for (size_t k = 0; k < COLUMNS; k++)
            row[k] = weight_at(i * COLUMNS + k);
        CHECK(trit_output_put_at(output, "up.weight", i * sizeof(row), row, sizeof(row),
                                 NULL) == TRIT_OK);
    }
    CHECK(trit_output_put_at(output, "up.weight", 0, row, 4, NULL) != TRIT_OK);
    CHECK(trit_output_put_at(output, "down.weight", 0, row, 4, NULL) == TRIT_NOT_FOUND);
    CHECK(trit_output_put_at(NULL, "up.weight", 0, row, 4, NULL) ==
          TRIT_INVALID_ARGUMENT);
    const enum trit_status status = trit_output_commit(output, NULL);
    trit_output_free(output);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
    return status;
}

CASE(puts_anywhere, "bytes of an output may be put in any order, but not twice")
{
    struct place place;
    struct trit_file *file = NULL;
    float weight;

    place_init(&place);
    CHECK(write_backwards(place.path) == TRIT_OK);
    CHECK(trit_file_open(&file, place.path, NULL, NULL) == TRIT_OK);
    CHECK(trit_file_read(file, "up.weight", 512, &weight, 4, NULL) == TRIT_OK);
    CHECK(weight == weight_at(128));
    trit_file_close(file);
    place_fini(&place);
}

CASE(reads_matrices, "a matrix of a plan is read as [out, in] whatever the file's layout")
{
    static const char *const up[] = {"up.*"};
    const struct trit_checkpoint_options transposed = {
        .size = sizeof(transposed), .transposed = up, .transposed_count = 1};
    struct trit_matrix *matrix = NULL;
    struct trit_file *file = NULL;
    struct trit_plan *plan;
    struct place place;
    float weights[2];

    place_init(&place);
    CHECK(write_file(place.path, false) == TRIT_OK);
    CHECK(trit_file_open(&file, place.path, NULL, NULL) == TRIT_OK);
    plan = plan_of(trit_file_checkpoint(file), &transposed);
    CHECK(trit_plan_matrix(plan, file, "up.bias", 0, &matrix, NULL) == TRIT_NOT_FOUND);
    CHECK(trit_plan_matrix(plan, file, "up.weight", 1, &matrix, NULL) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_matrix(plan, file, "up.weight", 0, &matrix, NULL) == TRIT_OK);
    CHECK_EQ(trit_matrix_bytes(matrix), WEIGHTS * sizeof(float));
    CHECK_EQ(trit_matrix_bytes(NULL), 0);
    CHECK_EQ(trit_matrix_read(matrix, 4 * 5, weights, sizeof(weights)), 0);
    /* [128, 4] of [4, 128]: elements 5 and 6 are those of row 1, columns 1 and 2. */
    CHECK(weights[0] == weight_at(1 * COLUMNS + 1));
    CHECK(weights[1] == weight_at(2 * COLUMNS + 1));
    CHECK(trit_matrix_check(matrix, NULL) == TRIT_OK);
    CHECK_EQ(truncate(place.path, 100), 0);
    CHECK(trit_matrix_read(matrix, 4 * 5, weights, 4) == 0); /* it is in memory */
    trit_matrix_free(matrix);
    CHECK(trit_plan_matrix(plan, file, "up.weight", 0, &matrix, NULL) == TRIT_OK);
    CHECK(trit_matrix_read(matrix, 0, weights, 4) < 0);
    CHECK(trit_matrix_check(matrix, NULL) == TRIT_ABORTED);
    trit_matrix_free(matrix);
    trit_plan_free(plan);
    trit_file_close(file);
    place_fini(&place);
}

static int count_bytes(void *arg, uint64_t done, uint64_t total)
{
    uint64_t *seen = arg;

    CHECK(done <= total);
    if (done > *seen)
        *seen = done;
    return 0;
}

static int stop(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    (void)done;
    (void)total;
    return 1;
}

/* A packing that leaves the layer as it is, so that no daemon is asked. */
static struct trit_plan *copy_of(struct trit_file *file, const char *output)
{
    static const char *const all[] = {"*"};
    const struct trit_checkpoint_options options = {
        .size = sizeof(options), .exclude = all, .exclude_count = 1, .output = output};
    const struct trit_pack_target target = {.size = sizeof(target),
                                            .encoding = TRIT_ENCODING_DENSE};
    struct trit_plan *plan = NULL;

    CHECK_EQ(
        trit_plan_create_pack(&plan, trit_file_checkpoint(file), &options, &target, NULL),
        TRIT_OK);
    return plan;
}

/* What a test of a run has. */
struct run_place {
    struct place place;
    struct trit_client *client; /* of a daemon that is not there */
    struct trit_file *file;
};

static void run_place_init(struct run_place *p)
{
    const struct trit_connect_options nowhere = {.size = sizeof(nowhere),
                                                 .address = "unix:/no/such/socket"};

    *p = (struct run_place){.client = NULL};
    place_init(&p->place);
    CHECK_EQ(write_file(p->place.path, false), TRIT_OK);
    CHECK_EQ(trit_connect(&p->client, &nowhere, NULL), TRIT_OK);
    CHECK_EQ(trit_file_open(&p->file, p->place.path, NULL, NULL), TRIT_OK);
}

static void run_place_fini(struct run_place *p)
{
    trit_file_close(p->file);
    trit_close(p->client);
    place_fini(&p->place);
}

CASE(runs_a_plan, "a plan is done by one call, which tells its progress and can be ended")
{
    uint64_t seen = 0;
    struct trit_call_options call = {
        .size = sizeof(call), .progress = stop, .progress_arg = &seen};
    const struct trit_run_options how = {.size = sizeof(how), .call = &call};
    struct trit_output *output = NULL;
    struct trit_plan *plan;
    struct run_place p;
    char *text = NULL;

    run_place_init(&p);
    for (int ends = 0; ends < 2; ends++) {
        plan = copy_of(p.file, p.place.other);
        CHECK_EQ(trit_output_create(&output, p.place.other, plan, p.file, NULL, NULL),
                 TRIT_OK);
        CHECK_EQ(trit_plan_run(plan, p.client, p.file, output, &how, NULL),
                 ends ? TRIT_OK : TRIT_CANCELLED);
        if (!ends)
            trit_plan_free(plan);
        else
            CHECK_EQ(trit_output_commit(output, NULL), TRIT_OK);
        trit_output_free(output);
        CHECK_EQ(access(p.place.other, F_OK), ends ? 0 : -1);
        call.progress = count_bytes;
    }
    CHECK_EQ(seen, (WEIGHTS + ROWS) * sizeof(float));
    CHECK_EQ(trit_plan_result(plan, NULL, &text, NULL), TRIT_OK);
    json_t *json = parsed(text);
    CHECK_EQ(digits_of(json, "scales_rounded"), 0);
    json_decref(json);
    trit_plan_free(plan);
    run_place_fini(&p);
}

CASE(refuses_to_run,
     "a plan is done for its own file and output, by a daemon that is there")
{
    const struct trit_checkpoint_options again = {.size = sizeof(again), .again = true};
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_file *other = NULL;
    struct trit_output *output = NULL;
    struct trit_plan *plan, *stranger;
    struct run_place p;

    run_place_init(&p);
    CHECK_EQ(trit_file_open(&other, p.place.path, NULL, NULL), TRIT_OK);
    stranger = copy_of(p.file, p.place.other);
    CHECK_EQ(
        trit_output_create(&output, "/nowhere/c.npy", stranger, p.file, NULL, &error),
        TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, ", which the plan is for"));
    plan = plan_of(trit_file_checkpoint(p.file), &again);
    CHECK_EQ(trit_output_create(&output, p.place.other, plan, p.file, NULL, NULL),
             TRIT_OK);
    CHECK_EQ(trit_plan_run(plan, NULL, p.file, output, NULL, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK_EQ(trit_plan_run(plan, p.client, p.file, NULL, NULL, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "output");
    CHECK_EQ(trit_plan_run(stranger, p.client, p.file, output, NULL, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "output");
    CHECK_EQ(trit_plan_run(plan, p.client, other, output, NULL, &error),
             TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "source");
    CHECK_EQ(trit_plan_run(plan, p.client, p.file, output, NULL, &error),
             TRIT_UNAVAILABLE);
    trit_output_free(output);
    trit_plan_free(plan);
    trit_plan_free(stranger);
    trit_file_close(other);
    CHECK(access(p.place.other, F_OK) != 0);
    run_place_fini(&p);
}
