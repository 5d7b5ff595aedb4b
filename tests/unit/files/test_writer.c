/* SPDX-License-Identifier: Apache-2.0 */
/* Writing whole files: what is written is read again, and nothing is left of what
 * fails. */
#include <unistd.h>

#include "files/reader.h"
#include "files/writer.h"
#include "tests/lib/fault.h"
#include "tests/unit/files/place.h"

static const float VALUES[2] = {1.5f, -2.0f};

static void fill_table(struct tensor_table *table)
{
    struct tensor_entry bytes = {.name = "bytes \"quoted\" \xc3\xa9",
                                 .type = element_type_by_name("U8"),
                                 .rank = 1,
                                 .shape = {3}};
    struct tensor_entry empty = {
        .name = "empty", .type = element_type_by_name("I64"), .rank = 2, .shape = {0, 4}};
    struct tensor_entry values = {
        .name = "values", .type = element_type_by_name("F32"), .rank = 1, .shape = {2}};

    table_init(table);
    CHECK(table_add(table, &bytes, NULL) == 0);
    CHECK(table_add(table, &empty, NULL) == 0);
    CHECK(table_add(table, &values, NULL) == 0);
    CHECK(table_add_pair(table, "format", "pt", NULL) == 0);
}

/* Tensors in another order than the file's, in pieces; 0 or -1. */
static int write_table(const char *path, struct failure *failure)
{
    struct tensor_table table;
    struct writer *writer = NULL;
    int result;

    *failure = (struct failure){.status = TRIT_OK};
    fill_table(&table);
    result = writer_create(&writer, path, TARGET_REPLACE, &table, failure);
    if (result == 0)
        result = writer_put(writer, 0, "x", 1, failure);
    if (result == 0)
        result = writer_put(writer, 2, VALUES, sizeof(VALUES), failure);
    if (result == 0)
        result = writer_put(writer, 0, "yz", 2, failure);
    if (result == 0)
        result = writer_commit(writer, failure);
    writer_destroy(writer);
    table_fini(&table);
    return result;
}

static void check_table(const char *path)
{
    struct failure failure = {.status = TRIT_OK};
    struct reader *reader;
    const struct tensor_table *table;
    const struct tensor_entry *bytes, *values;
    uint8_t got[8];

    if (reader_open(&reader, path, NULL, &failure) != 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    table = reader_table(reader);
    CHECK_EQ(table->count, 3);
    CHECK_STR(table_pair(table, "format"), "pt");
    bytes = table_find(table, "bytes \"quoted\" \xc3\xa9");
    values = table_find(table, "values");
    CHECK(bytes && values && table_find(table, "empty"));
    CHECK_EQ(table_find(table, "empty")->shape[1], 4);
    CHECK_EQ(values->offset % 8, 0);
    CHECK(reader_read(reader, bytes, 0, got, 3, &failure) == 0);
    CHECK_MEM(got, "xyz", 3);
    CHECK(reader_read(reader, values, 0, got, 8, &failure) == 0);
    CHECK_MEM(got, VALUES, 8);
    reader_close(reader);
}

CASE(writes_what_it_reads, "a written checkpoint is read back, tensor by tensor")
{
    struct place place;
    struct failure failure;

    place_init(&place);
    CHECK(write_table(place.path, &failure) == 0);
    check_table(place.path);
    CHECK(write_table(place.path, &failure) == 0);
    check_table(place.path);
    place_fini(&place);
}

CASE(knows_the_names_of_other_formats, "output names of other formats are refused")
{
    static const char *const others[] = {"y.ggml", "y.GGML", "a/b.bin",
                                         "y.pt",   "y.json", "model.safetensors.gz"};
    static const char *const ours[] = {"x",    "y.safetensors", "y.npy",
                                       "y.v2", "y.gguf",        "y.ggml/x"};
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(writer_other_format(others[i]));
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        CHECK(!writer_other_format(ours[i]));
    CHECK_STR(writer_other_format("y.GGML"), "GGML");
    CHECK_STR(writer_format("y.GGUF"), "gguf");
    CHECK_STR(writer_format("y.NPY"), "npy");
    fill_table(&table);
    CHECK(writer_create(&writer, "/tmp/y.ggml", TARGET_NEW, &table, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK(access("/tmp/y.ggml", F_OK) != 0);
    table_fini(&table);
}

CASE(refuses_to_commit_holes, "a file with missing bytes is not committed")
{
    struct place place;
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;

    place_init(&place);
    fill_table(&table);
    CHECK(writer_create(&writer, place.path, TARGET_REPLACE, &table, &failure) == 0);
    CHECK(writer_put(writer, 0, "xyz", 3, &failure) == 0);
    CHECK(writer_commit(writer, &failure) != 0);
    CHECK(strstr(failure.message, "values got 0 of its 8"));
    failure.status = TRIT_OK;
    CHECK(writer_put(writer, 0, "x", 1, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_INTERNAL);
    writer_destroy(writer);
    writer_destroy(NULL);
    table_fini(&table);
    CHECK_EQ(files_in(place.folder), 0);
    place_fini(&place);
}

CASE(finishes,
     "a finished file has no name, and its mark when it gets one; a failed flush is told")
{
    struct place place;
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct output_mark mark;
    struct writer *writer;

    for (int failing = 0; failing < 2; failing++) {
        place_init(&place);
        fill_table(&table);
        CHECK(writer_create(&writer, place.path, TARGET_NEW, &table, &failure) == 0);
        CHECK(writer_finish(writer, &mark, &failure) != 0); /* it has holes */
        CHECK(writer_put(writer, 0, "xyz", 3, &failure) == 0);
        CHECK(writer_put(writer, 2, VALUES, sizeof(VALUES), &failure) == 0);
        if (failing)
            fault_arm(FAULT_WRITE, 1, FAULT_ONCE);
        CHECK_EQ(writer_finish(writer, &mark, &failure), failing ? -1 : 0);
        CHECK_EQ(fault_disarm(), failing);
        CHECK(access(place.path, F_OK) != 0);
        if (!failing) {
            CHECK(!output_mark_is_at(&mark, place.path));
            CHECK(writer_commit(writer, &failure) == 0);
            CHECK(output_mark_is_at(&mark, place.path));
            CHECK(truncate(place.path, 1) == 0);
            CHECK(!output_mark_is_at(&mark, place.path));
        }
        writer_destroy(writer);
        table_fini(&table);
        place_fini(&place);
    }
}

CASE(survives_lack_of_memory, "whichever allocation fails, nothing is left behind")
{
    for (uint64_t n = 1;; n++) {
        struct place place;
        struct failure failure = {.status = TRIT_OK};
        struct tensor_table table;
        struct writer *writer = NULL;
        int result;

        place_init(&place);
        fill_table(&table);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = writer_create(&writer, place.path, TARGET_REPLACE, &table, &failure);
        if (!fault_disarm()) {
            CHECK(result == 0);
            CHECK(n > 3);
            writer_destroy(writer);
            table_fini(&table);
            place_fini(&place);
            return;
        }
        CHECK(result != 0);
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
        CHECK_EQ(files_in(place.folder), 0);
        table_fini(&table);
        place_fini(&place);
    }
}
