/* SPDX-License-Identifier: Apache-2.0 */
/* .npy: what numpy.save writes is read and written; the rest is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files/reader.h"
#include "files/writer.h"
#include "tests/lib/check.h"

enum { FILE_BYTES_MAX = 4096 };

struct image {
    uint8_t bytes[FILE_BYTES_MAX];
    uint64_t count;
};

static void image_make(struct image *image, int version, const char *dict, uint64_t data)
{
    size_t length = strlen(dict), prefix = version == 1 ? 10 : 12;

    memset(image, 0, sizeof(*image));
    memcpy(image->bytes, "\x93NUMPY", 6);
    image->bytes[6] = (uint8_t)version;
    for (size_t i = 8; i < prefix; i++)
        image->bytes[i] = (uint8_t)(length >> (8 * (i - 8)));
    memcpy(image->bytes + prefix, dict, length);
    image->count = prefix + length + data;
}

static int image_open(struct reader **reader, const struct image *image,
                      const struct read_options *options, struct failure *failure)
{
    struct source *source = NULL;

    *failure = (struct failure){.status = TRIT_OK};
    CHECK(source_memory(&source, image->bytes, image->count, "dir/w.npy", failure) == 0);
    return reader_open_source(reader, source, options, failure);
}

static void taken(int version, const char *dict, uint64_t data, enum trit_dtype dtype,
                  uint32_t rank)
{
    struct image image;
    struct reader *reader;
    struct failure failure;

    image_make(&image, version, dict, data);
    if (image_open(&reader, &image, NULL, &failure) != 0)
        check_failed(__FILE__, __LINE__, "refused %s: %s", dict, failure.message);
    CHECK_EQ(reader_table(reader)->count, 1);
    CHECK_STR(reader_table(reader)->entries[0].name, "w");
    CHECK_EQ(reader_table(reader)->entries[0].type->dtype, dtype);
    CHECK_EQ(reader_table(reader)->entries[0].rank, rank);
    CHECK_EQ(reader_table(reader)->entries[0].bytes, data);
    CHECK_EQ(reader_table(reader)->entries[0].offset, image.count - data);
    reader_close(reader);
}

static void refused_image(const struct image *image, const char *word)
{
    struct reader *reader;
    struct failure failure;

    if (image_open(&reader, image, NULL, &failure) == 0) {
        reader_close(reader);
        check_failed(__FILE__, __LINE__, "taken, \"%s\" was due", word);
    }
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, word))
        check_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", word,
                     failure.message);
}

static void refused(const char *dict, uint64_t data, const char *word)
{
    struct image image;

    image_make(&image, 1, dict, data);
    refused_image(&image, word);
}

CASE(takes_what_numpy_writes,
     "files that numpy.save writes are read, in all three format versions")
{
    taken(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n", 48,
          TRIT_F32, 2);
    taken(2, "{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }\n", 6, TRIT_F16,
          1);
    taken(3, "{'descr': '|i1', 'fortran_order': False, 'shape': (), }\n", 1, TRIT_I8, 0);
    taken(1, "{\"shape\":(2,0,),\"fortran_order\":False,\"descr\":\"|u1\"}", 0, TRIT_U8,
          2);
    /* One axis has the same bytes in either order. */
    taken(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }\n", 8, TRIT_F32,
          1);
}

CASE(refuses_other_types, "other element types are refused by name")
{
    refused("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", 8,
            "'<f8' is not one");
    refused("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, "big-endian");
    refused("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 4,
            "'|O' is not one");
    refused("{'descr': [('a','<f4')], 'fortran_order': False, 'shape': (1,), }", 4,
            "not a plain element type");
}

CASE(takes_bf16_only_when_told,
     "a type of two void bytes is read as bf16 only on request")
{
    static const char dict[] =
        "{'descr': '|V2', 'fortran_order': False, 'shape': (1,), }";
    struct read_options options = {.void2_is_bf16 = true};
    struct image image;
    struct reader *reader;
    struct failure failure;

    refused(dict, 2, "if it is bf16, use --npy-bf16");
    image_make(&image, 1, dict, 2);
    CHECK(image_open(&reader, &image, &options, &failure) == 0);
    CHECK_EQ(reader_table(reader)->entries[0].type->dtype, TRIT_BF16);
    reader_close(reader);
}

CASE(refuses_fortran_order,
     "Fortran order is refused, and the message says how to convert it")
{
    refused("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 4), }", 48,
            "ascontiguousarray");
}

CASE(refuses_bad_dicts, "a dict that numpy would not write is refused")
{
    static const struct {
        const char *dict, *word;
    } cases[] = {
        {"", "not a dict"},
        {"[]", "not a dict"},
        {"{}", "missing"},
        {"{'descr': '<f4', 'shape': (1,)}", "missing"},
        {"{'descr': '<f4' 'shape': (1,)}", "no comma"},
        {"{'descr': '<f4', 'descr': '<f4'}", "a key twice"},
        {"{'descr': '<f4', 'fortran_order': 0}", "neither True"},
        {"{'x': 1}", "other than"},
        {"{descr: '<f4'}", "string keys"},
        {"{'descr': '<f4", "not a plain element"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "after the dict"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "not a tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': [1]}", "not a tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (,)}", "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,,)}", "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 1)}", "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (01,)}", "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1L,)}", "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         "not a size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
         "8 axes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296,4294967296)}",
         "overflows"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refused(cases[i].dict, 4, cases[i].word);
}

CASE(refuses_data_of_another_size, "data shorter or longer than the shape is refused")
{
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 7,
            "needs 8 bytes");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 9,
            "needs 8 bytes");
}

CASE(refuses_bad_prefixes,
     "other format versions and headers longer than the file are refused")
{
    static const char dict[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (), }";
    struct image image;

    image_make(&image, 4, dict, 4);
    refused_image(&image, "version 4.0");
    image_make(&image, 0, dict, 4);
    refused_image(&image, "version 0.0");
    image_make(&image, 1, dict, 4);
    image.bytes[7] = 1;
    refused_image(&image, "version 1.1");
    image_make(&image, 1, dict, 4);
    image.bytes[9] = 0xff;
    refused_image(&image, "beyond the end");
    for (image.count = 6; image.count < 12; image.count++)
        refused_image(&image, image.count < 7 ? "version" : "beyond the end");
}

/* What is written is read again, the data on a multiple of 64 bytes. */
CASE(writes_what_it_reads, "a file is written aligned to 64 bytes and read back")
{
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    struct tensor_entry entry = {
        .name = "x", .type = element_type_of(TRIT_F32), .rank = 2, .shape = {2, 3}};
    char path[] = "/tmp/test_npy_XXXXXX.npy";
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;
    struct reader *reader;
    float again[6];

    close(mkstemps(path, 4));
    table_init(&table);
    CHECK(table_add(&table, &entry, &failure) == 0);
    CHECK_STR(writer_format(path), "npy");
    CHECK(writer_create(&writer, path, TARGET_REPLACE, &table, &failure) == 0);
    CHECK(writer_put(writer, 0, values, sizeof(values), &failure) == 0);
    CHECK(writer_commit(writer, &failure) == 0);
    writer_destroy(writer);
    table_fini(&table);

    CHECK(reader_open(&reader, path, NULL, &failure) == 0);
    CHECK_EQ(reader_table(reader)->entries[0].offset % 64, 0);
    CHECK_EQ(reader_table(reader)->entries[0].shape[1], 3);
    CHECK(reader_read(reader, &reader_table(reader)->entries[0], 0, again, sizeof(again),
                      &failure) == 0);
    CHECK_MEM(again, values, sizeof(values));
    reader_close(reader);
    unlink(path);
}

CASE(writes_no_more_than_one_tensor, "a .npy file takes one tensor of a type numpy knows")
{
    struct tensor_entry entry = {
        .name = "x", .type = element_type_by_name("F64"), .rank = 0};
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct writer *writer;

    table_init(&table);
    CHECK(writer_create(&writer, "/tmp/x.npy", TARGET_REPLACE, &table, &failure) != 0);
    failure.status = TRIT_OK;
    CHECK(table_add(&table, &entry, &failure) == 0);
    CHECK(writer_create(&writer, "/tmp/x.npy", TARGET_REPLACE, &table, &failure) != 0);
    CHECK(strstr(failure.message, "cannot hold F64"));
    table_fini(&table);
}
