/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF, read: every rule of the format, one hostile file each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/reader.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/unit/files/model.h"

enum {
    FILE_BYTES_MAX = 1 << 15,
    ALIGNMENT = 32,
    TYPE_U32 = 4,
    TYPE_STRING = 8,
    TYPE_ARRAY = 9,
    F32 = 0,
    F16 = 1,
    Q2_0 = 42,
    PQ2_0 = 142,
};

/* ---- a file in memory ------------------------------------------------------------ */

struct image {
    uint8_t bytes[FILE_BYTES_MAX];
    uint64_t count;
};

static void put(struct image *image, const void *bytes, size_t count)
{
    CHECK(image->count + count <= FILE_BYTES_MAX);
    memcpy(image->bytes + image->count, bytes, count);
    image->count += count;
}

static void put_number(struct image *image, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        put(image, &(uint8_t){(uint8_t)(number >> 8 * i)}, 1);
}

static void put_text(struct image *image, const char *text)
{
    put_number(image, strlen(text), 8);
    put(image, text, strlen(text));
}

static void begin(struct image *image, uint64_t tensors, uint64_t values)
{
    image->count = 0;
    put(image, "GGUF", 4);
    put_number(image, 3, 4);
    put_number(image, tensors, 8);
    put_number(image, values, 8);
}

static void put_u32(struct image *image, const char *key, uint32_t number)
{
    put_text(image, key);
    put_number(image, TYPE_U32, 4);
    put_number(image, number, 4);
}

static void put_string(struct image *image, const char *key, const char *text)
{
    put_text(image, key);
    put_number(image, TYPE_STRING, 4);
    put_text(image, text);
}

/* A matrix [rows, columns]. */
static void put_tensor(struct image *image, const char *name, uint32_t type,
                       uint64_t rows, uint64_t columns, uint64_t offset)
{
    put_text(image, name);
    put_number(image, 2, 4);
    put_number(image, columns, 8);
    put_number(image, rows, 8);
    put_number(image, type, 4);
    put_number(image, offset, 8);
}

/* Padding, and `count` bytes 0, 1, 2 ... */
static void put_data(struct image *image, uint64_t alignment, uint64_t count)
{
    while (image->count % alignment != 0)
        put_number(image, 0, 1);
    for (uint64_t i = 0; i < count; i++)
        put_number(image, i & 0xff, 1);
}

static int image_open(struct reader **reader, const struct image *image, bool may_be_cut,
                      struct failure *failure)
{
    const struct read_options options = {.may_be_cut = may_be_cut};
    struct source *source = NULL;

    *failure = (struct failure){.status = TRIT_OK};
    *reader = NULL;
    if (source_memory(&source, image->bytes, image->count, "image", failure) < 0)
        return -1;
    return reader_open_source(reader, source, &options, failure);
}

static struct reader *taken(const struct image *image)
{
    struct reader *reader;
    struct failure failure;

    if (image_open(&reader, image, false, &failure) < 0)
        check_failed(__FILE__, __LINE__, "refused: %s", failure.message);
    return reader;
}

/* It is refused with INVALID_ARGUMENT, and `word` is in the message. */
static void refused(const struct image *image, const char *word)
{
    struct reader *reader;
    struct failure failure;

    if (image_open(&reader, image, false, &failure) == 0) {
        reader_close(reader);
        check_failed(__FILE__, __LINE__, "taken, \"%s\" was due", word);
    }
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, word))
        check_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", word,
                     failure.message);
}

/* A file of one F32 matrix [2, 4] and 32 bytes of data. */
static void put_simple(struct image *image)
{
    begin(image, 1, 0);
    put_tensor(image, "w", F32, 2, 4, 0);
    put_data(image, ALIGNMENT, 32);
}

/* ---- what is taken ----------------------------------------------------------------- */

CASE(reads_a_table, "a table comes with its names, types, shapes, bytes and values")
{
    static struct image image;
    uint64_t shape[TRIT_RANK_MAX];
    uint8_t piece[2];

    begin(&image, 2, 3);
    put_string(&image, "general.architecture", "llama");
    put_u32(&image, "llama.block_count", 7);
    put_text(&image, "tokens");
    put_number(&image, TYPE_ARRAY, 4);
    put_number(&image, TYPE_STRING, 4);
    put_number(&image, 2, 8);
    put_text(&image, "a");
    put_text(&image, "");
    put_tensor(&image, "b", PQ2_0, 3, 256, 0);
    put_tensor(&image, "a", F16, 1, 8, 224);
    put_data(&image, ALIGNMENT, 240);
    struct reader *reader = taken(&image);
    const struct tensor_table *table = reader_table(reader);

    CHECK_STR(reader_format(reader), "gguf");
    CHECK_STR(table->format, "gguf");
    CHECK_EQ(table->count, 2);
    const struct tensor_entry *b = table_find(table, "b");
    CHECK(b);
    CHECK_STR(b->type->name, "PQ2_0");
    CHECK_EQ(b->rank, 2);
    CHECK_EQ(b->shape[0], 3);
    CHECK_EQ(b->shape[1], 2 * 34);
    CHECK_EQ(b->bytes, 3 * 2 * 34);
    entry_value_shape(b, shape);
    CHECK_EQ(shape[0], 3);
    CHECK_EQ(shape[1], 256);
    const struct tensor_entry *a = table_find(table, "a");
    CHECK_EQ(a->type->dtype, TRIT_F16);
    CHECK(reader_read(reader, a, 1, piece, 2, NULL) == 0);
    CHECK_MEM(piece, ((uint8_t[]){225, 226}), 2);
    CHECK_STR(table_pair(table, "general.architecture"), "llama");
    CHECK_STR(table_pair(table, "llama.block_count"), "7");
    CHECK_STR(table_pair(table, "tokens"), "[string x 2]");
    reader_close(reader);
}

CASE(values_become_text, "numbers, booleans and floats of every width become text")
{
    static const struct {
        uint32_t type;
        size_t bytes;
        uint64_t value;
        const char *text;
    } values[] = {
        {0, 1, 200, "200"},
        {1, 1, 200, "-56"},
        {2, 2, 65535, "65535"},
        {3, 2, 65535, "-1"},
        {4, 4, 4000000000, "4000000000"},
        {5, 4, 4294967295, "-1"},
        {6, 4, 0x3f800000, "1"},
        {6, 4, 0x3727c5ac, "9.99999975e-06"},
        {7, 1, 1, "true"},
        {7, 1, 0, "false"},
        {10, 8, UINT64_MAX, "18446744073709551615"},
        {11, 8, UINT64_MAX, "-1"},
        {12, 8, 0x3ff8000000000000, "1.5"},
    };
    static struct image image;
    const size_t count = sizeof(values) / sizeof(values[0]);
    char key[16];

    begin(&image, 0, count);
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "k%zu", i);
        put_text(&image, key);
        put_number(&image, values[i].type, 4);
        put_number(&image, values[i].value, values[i].bytes);
    }
    struct reader *reader = taken(&image);
    for (size_t i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "k%zu", i);
        CHECK_STR(table_pair(reader_table(reader), key), values[i].text);
    }
    reader_close(reader);
}

CASE(text_that_is_not, "a string that is not UTF-8 is described, not shown")
{
    static struct image image;

    begin(&image, 0, 1);
    put_string(&image, "k", "\xff\xfe");
    struct reader *reader = taken(&image);
    CHECK_STR(table_pair(reader_table(reader), "k"), "[2 bytes that are not UTF-8]");
    reader_close(reader);
}

CASE(obeys_the_alignment, "general.alignment sets where data and tensors begin")
{
    static struct image image;

    begin(&image, 2, 1);
    put_u32(&image, "general.alignment", 64);
    put_tensor(&image, "a", F32, 1, 4, 0);
    put_tensor(&image, "b", F32, 1, 4, 64);
    put_data(&image, 64, 80);
    struct reader *reader = taken(&image);
    CHECK_EQ(table_find(reader_table(reader), "b")->offset % 64, 0);
    reader_close(reader);
}

/* Two tensors of type 42, [rows, 256], and an end at `bytes` of data. */
static const char *type_of_42(uint64_t second, uint64_t bytes)
{
    static struct image image;

    begin(&image, 2, 0);
    put_tensor(&image, "a", Q2_0, 1, 256, 0);
    put_tensor(&image, "b", Q2_0, 1, 256, second);
    put_data(&image, ALIGNMENT, bytes);
    struct reader *reader = taken(&image);
    const char *name = table_find(reader_table(reader), "b")->type->name;
    reader_close(reader);
    return name;
}

CASE(legacy_q2_0,
     "type 42 has groups of 64, or of 128 where only those fit the offsets and the end")
{
    /* A row of 256 values has 72 bytes in groups of 64, and 68 in groups of 128; both are
     * padded to 96. Only the end of the file tells them apart here. */
    CHECK_STR(type_of_42(96, 96 + 72), "Q2_0");
    CHECK_STR(type_of_42(96, 96 + 96), "Q2_0"); /* either, with padding */
    CHECK_STR(type_of_42(96, 96 + 68), "PQ2_0");
}

CASE(legacy_q2_0_by_offset, "the offset of the next tensor tells the groups of type 42")
{
    static struct image image;

    for (int legacy = 0; legacy < 2; legacy++) {
        const uint64_t bytes = legacy ? 16 * 68 : 16 * 72;

        begin(&image, 2, 0);
        put_tensor(&image, "a", Q2_0, 16, 256, 0);
        put_tensor(&image, "b", F32, 1, 8, bytes);
        put_data(&image, ALIGNMENT, bytes + 32);
        struct reader *reader = taken(&image);
        CHECK_STR(table_find(reader_table(reader), "a")->type->name,
                  legacy ? "PQ2_0" : "Q2_0");
        CHECK_EQ(table_find(reader_table(reader), "a")->bytes, bytes);
        reader_close(reader);
    }
}

CASE(a_cut_file,
     "a file that may be cut gives the tensors that it holds and notes others")
{
    static struct image image;
    struct reader *reader;
    struct failure failure;

    begin(&image, 2, 0);
    put_tensor(&image, "a", F32, 1, 8, 0);
    put_tensor(&image, "b", F32, 1, 8, 32);
    put_data(&image, ALIGNMENT, 40);
    refused(&image, "tensor b goes beyond the end of the file");
    CHECK(image_open(&reader, &image, true, &failure) == 0);
    CHECK_EQ(reader_table(reader)->count, 1);
    CHECK_EQ(reader_table(reader)->cut_count, 1);
    CHECK_STR(reader_table(reader)->cuts[0].name, "b");
    CHECK_EQ(reader_table(reader)->cuts[0].found, 8);
    reader_close(reader);
}

/* ---- what is refused --------------------------------------------------------------- */

CASE(refuses_versions, "only versions 2 and 3, little-endian, are read")
{
    static struct image image;

    put_simple(&image);
    image.bytes[4] = 4;
    refused(&image, "version 4");
    image.bytes[4] = 1;
    refused(&image, "version 1");
    image.bytes[4] = 0;
    refused(&image, "version 0");
    image.bytes[7] = 3;
    refused(&image, "big-endian, which is not read; gguf-convert-endian");
}

CASE(refuses_counts, "more tensors or values than are allowed are refused, also negative")
{
    static struct image image;

    begin(&image, (uint64_t)-1, 0);
    refused(&image, "more than 1048576 tensors");
    begin(&image, 0, (uint64_t)-1);
    refused(&image, "more than 65536 values");
    begin(&image, 5, 0);
    refused(&image, "the file is truncated");
    begin(&image, 0, 5);
    refused(&image, "the file is truncated");
}

CASE(refuses_keys, "empty, repeated and unprintable keys are refused")
{
    static struct image image;

    begin(&image, 0, 1);
    put_u32(&image, "", 1);
    refused(&image, "a key that is empty");
    begin(&image, 0, 1);
    put_u32(&image, "a\x07", 1);
    refused(&image, "not printable UTF-8");
    begin(&image, 0, 2);
    put_u32(&image, "a", 1);
    put_u32(&image, "a", 1);
    refused(&image, "twice: a");
}

CASE(refuses_values,
     "unknown types, nested arrays and lengths beyond the file are refused")
{
    static struct image image;

    begin(&image, 0, 1);
    put_text(&image, "a");
    put_number(&image, 13, 4);
    refused(&image, "a type that is not known: a");
    for (uint32_t type = TYPE_ARRAY; type < 20; type += 4) {
        begin(&image, 0, 1);
        put_text(&image, "a");
        put_number(&image, TYPE_ARRAY, 4);
        put_number(&image, type, 4);
        put_number(&image, 0, 8);
        refused(&image, "an array of a type that is not known, or of arrays: a");
    }
    begin(&image, 0, 1);
    put_text(&image, "a");
    put_number(&image, TYPE_ARRAY, 4);
    put_number(&image, TYPE_U32, 4);
    put_number(&image, (uint64_t)1 << 29, 8);
    refused(&image, "truncated");
    begin(&image, 0, 1);
    put_text(&image, "a");
    put_number(&image, TYPE_ARRAY, 4);
    put_number(&image, TYPE_U32, 4);
    put_number(&image, UINT64_MAX, 8);
    refused(&image, "more than 2^30 values");
    begin(&image, 0, 1);
    put_text(&image, "a");
    put_number(&image, TYPE_STRING, 4);
    put_number(&image, UINT64_MAX, 8);
    refused(&image, "truncated");
}

CASE(refuses_alignments, "an alignment that is no power of two or no u32 is refused")
{
    static struct image image;

    for (uint32_t bad = 0; bad < 49; bad += 24) {
        begin(&image, 0, 1);
        put_u32(&image, "general.alignment", bad);
        refused(&image,
                bad == 48 ? "general.alignment is 48 of" : "general.alignment is");
    }
    begin(&image, 0, 1);
    put_text(&image, "general.alignment");
    put_number(&image, 10, 4);
    put_number(&image, 32, 8);
    refused(&image, "general.alignment");
    begin(&image, 0, 1);
    put_text(&image, "general.alignment");
    put_number(&image, 8, 4);
    put_text(&image, "32");
    refused(&image, "general.alignment is no number");
}

CASE(refuses_shapes,
     "shapes with too many axes, negative or overflowing sizes are refused")
{
    static struct image image;

    begin(&image, 1, 0);
    put_text(&image, "w");
    put_number(&image, 5, 4);
    refused(&image, "tensor w: 5 axes");
    begin(&image, 1, 0);
    put_tensor(&image, "w", F32, (uint64_t)-1, 4, 0);
    refused(&image, "tensor w: a size is negative");
    begin(&image, 1, 0);
    put_tensor(&image, "w", F32, (uint64_t)1 << 40, (uint64_t)1 << 40, 0);
    refused(&image, "overflows");
    begin(&image, 1, 0);
    put_tensor(&image, "w", F32, (uint64_t)1 << 31, (uint64_t)1 << 31, 0);
    refused(&image, "overflows");
}

CASE(refuses_types, "unknown and removed types, and rows of broken blocks, are refused")
{
    static const uint32_t bad[] = {4, 5, 31, 37, 43, 141, 144, UINT32_MAX};
    static struct image image;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin(&image, 1, 0);
        put_tensor(&image, "w", bad[i], 1, 256, 0);
        refused(&image, "is not known");
    }
    begin(&image, 1, 0);
    put_tensor(&image, "w", PQ2_0, 2, 192, 0);
    put_data(&image, ALIGNMENT, 512);
    refused(&image, "tensor w: its rows are not a multiple of 128 values");
}

CASE(refuses_bitnet_tables, "TL1 and TL2 of bitnet.cpp are refused by their names")
{
    static struct image image;

    begin(&image, 1, 0);
    put_tensor(&image, "a", 38, 32, 64, 0);
    put_data(&image, ALIGNMENT, 1024);
    refused(&image, "tensor a: type TL1 of bitnet.cpp is not read");
    /* MXFP4 has the number of TL2, but 17 bytes for 32 values. */
    begin(&image, 2, 0);
    put_tensor(&image, "a", 39, 32, 64, 0);
    put_tensor(&image, "a_scale", F32, 1, 1, 448);
    put_data(&image, ALIGNMENT, 480);
    refused(&image, "tensor a: type TL2 of bitnet.cpp is not read");
    begin(&image, 2, 0);
    put_tensor(&image, "a", 39, 32, 64, 0);
    put_tensor(&image, "a_scale", F32, 1, 1, 1088);
    put_data(&image, ALIGNMENT, 1092);
    reader_close(taken(&image));
}

CASE(refuses_names, "repeated, long and unprintable names are refused")
{
    static struct image image;
    char name[65];

    memset(name, 'n', 64);
    name[64] = '\0';
    begin(&image, 1, 0);
    put_tensor(&image, name, F32, 1, 4, 0);
    refused(&image, "at most 63");
    begin(&image, 1, 0);
    put_tensor(&image, "a\n", F32, 1, 4, 0);
    refused(&image, "control character");
    begin(&image, 2, 0);
    put_tensor(&image, "a", F32, 1, 8, 0);
    put_tensor(&image, "a", F32, 1, 8, 32);
    put_data(&image, ALIGNMENT, 64);
    refused(&image, "two tensors have the name a");
}

CASE(refuses_offsets, "offsets that are not the sum of the padded sizes are refused")
{
    static const uint64_t bad[] = {0, 16, 31, 33, 64, UINT64_MAX};
    static struct image image;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        begin(&image, 2, 0);
        put_tensor(&image, "a", F32, 1, 4, 0);
        put_tensor(&image, "b", F32, 1, 4, bad[i]);
        put_data(&image, ALIGNMENT, 128);
        refused(&image, "tensor b begins at byte");
    }
    begin(&image, 1, 0);
    put_tensor(&image, "a", F32, 1, 4, 32);
    put_data(&image, ALIGNMENT, 128);
    refused(&image, "tensor a begins at byte 32");
}

CASE(refuses_every_cut, "a file that ends anywhere before its end is refused")
{
    static struct image image;

    begin(&image, 1, 2);
    put_u32(&image, "a", 1);
    put_string(&image, "b", "text");
    put_tensor(&image, "w", F32, 2, 4, 0);
    put_data(&image, ALIGNMENT, 32);
    const uint64_t whole = image.count;
    for (image.count = 4; image.count < whole; image.count++)
        refused(&image, "");
    reader_close(taken(&image));
}

CASE(without_memory, "every allocation may fail, and nothing leaks")
{
    static struct image image;
    struct reader *reader;
    struct failure failure;
    uint64_t n = 0;
    int result;

    begin(&image, 2, 1);
    put_string(&image, "b", "text");
    put_tensor(&image, "a", Q2_0, 16, 256, 0);
    put_tensor(&image, "b", F32, 1, 8, 16 * 68);
    put_data(&image, ALIGNMENT, 16 * 68 + 32);
    do {
        fault_arm(FAULT_MEMORY, ++n, FAULT_ONCE);
        result = image_open(&reader, &image, false, &failure);
        if (!fault_disarm())
            break;
        if (result == 0)
            reader_close(reader);
        else
            CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
    } while (n < 1000);
    CHECK(result == 0 && n > 8);
    reader_close(reader);
}

/* ---- split files ------------------------------------------------------------------- */

static void put_part(struct model *model, const char *file, const char *tensor)
{
    static struct image image;

    begin(&image, 1, 1);
    put_u32(&image, "split.count", 2);
    put_tensor(&image, tensor, F32, 1, 4, 0);
    put_data(&image, ALIGNMENT, 16);
    model_put(model, file, image.bytes, image.count);
}

CASE(split_files, "any part of a split file, or its folder, stands for all of its parts")
{
    struct failure failure = {.status = TRIT_OK};
    struct reader *reader;
    struct model model;
    size_t notes;

    model_init(&model);
    put_part(&model, "m-00001-of-00002.gguf", "a");
    CHECK(reader_open(&reader, model_path(&model, "m-00001-of-00002.gguf"), NULL,
                      &failure) == 0);
    CHECK_EQ(reader_table(reader)->count, 1);
    CHECK_STR(reader_notes(reader, &notes)->shard, "m-00002-of-00002.gguf");
    CHECK_EQ(notes, 1);
    reader_close(reader);
    put_part(&model, "m-00002-of-00002.gguf", "b");
    put_part(&model, "other.gguf", "c");
    CHECK(reader_open(&reader, model_path(&model, "m-00002-of-00002.gguf"), NULL,
                      &failure) == 0);
    CHECK_EQ(reader_table(reader)->count, 2);
    CHECK_STR(reader_table(reader)->format, "gguf");
    CHECK(table_find(reader_table(reader), "a"));
    CHECK_EQ((reader_notes(reader, &notes), notes), 0);
    reader_close(reader);
    CHECK(reader_open(&reader, model.folder, NULL, &failure) < 0);
    CHECK(strstr(failure.message, "several files of weights"));
    CHECK(remove(model_path(&model, "other.gguf")) == 0);
    CHECK(reader_open(&reader, model.folder, NULL, &failure) == 0);
    CHECK_EQ(reader_table(reader)->count, 2);
    reader_close(reader);
    model_fini(&model);
}

/* A part with a tensor "a" or "b", and keys of these values; below 0: without the key. */
struct part {
    int count, number, tensors;
};

static void put_keyed_part(struct model *model, const char *file, const struct part *part,
                           const char *tensor)
{
    const int values[] = {part->count, part->number, part->tensors};
    static const char *const keys[] = {"split.count", "split.no", "split.tensors.count"};
    static struct image image;

    begin(&image, 1, (uint64_t)((values[0] >= 0) + (values[1] >= 0) + (values[2] >= 0)));
    for (size_t i = 0; i < 3; i++)
        if (values[i] >= 0)
            put_u32(&image, keys[i], (uint32_t)values[i]);
    put_tensor(&image, tensor, F32, 1, 4, 0);
    put_data(&image, ALIGNMENT, 16);
    model_put(model, file, image.bytes, image.count);
}

/* Reads the path, and returns the key, the file and the two numbers of its only note; "": it
 * has none. */
static const char *split_note(struct model *model, const char *path)
{
    static char text[128];
    struct failure failure = {.status = TRIT_OK};
    struct reader *reader;
    size_t count;

    CHECK(reader_open(&reader, path ? model_path(model, path) : model->folder, NULL,
                      &failure) == 0);
    const struct reader_note *note = reader_notes(reader, &count);
    CHECK(count <= 1);
    text[0] = '\0';
    if (count && note->kind == READER_SPLIT_DISAGREES)
        snprintf(text, sizeof(text), "%s of %s: %d, not %d", note->other, note->shard,
                 (int)note->bytes, (int)note->found);
    CHECK(count == 0 || text[0]);
    reader_close(reader);
    return text;
}

CASE(split_keys,
     "a part of a split file whose keys contradict the files that are there is noted")
{
    static const struct {
        struct part first, second;
        const char *note;
    } cases[] = {
        {{2, 0, 2}, {2, 1, 2}, ""},
        {{2, 0, -1}, {2, 1, -1}, ""},
        {{-1, -1, -1}, {-1, -1, -1}, ""},
        {{2, 0, 3}, {2, 1, 3}, "split.tensors.count of m-00001-of-00002.gguf: 3, not 2"},
        {{2, 0, 2}, {2, 0, 2}, "split.no of m-00002-of-00002.gguf: 0, not 1"},
        {{2, 0, 2}, {3, 1, 2}, "split.count of m-00002-of-00002.gguf: 3, not 2"},
        {{1, 0, 2}, {2, 1, 2}, "split.count of m-00001-of-00002.gguf: 1, not 2"},
        {{2, 0, 2}, {-1, -1, -1}, "split.count of m-00002-of-00002.gguf: 0, not 2"},
    };
    static const struct {
        struct part part;
        const char *note;
    } alone[] = {
        {{3, 1, -1}, "split.count of m.gguf: 3, not 1"},
        {{0, -1, 9}, ""}, /* merged from parts */
        {{1, 0, 9}, ""},
        {{-1, -1, -1}, ""},
    };
    struct model model;

    model_init(&model);
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        put_keyed_part(&model, "m.gguf", &alone[i].part, "a");
        CHECK_STR(split_note(&model, "m.gguf"), alone[i].note);
        CHECK_STR(split_note(&model, NULL), alone[i].note);
    }
    CHECK(remove(model_path(&model, "m.gguf")) == 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_keyed_part(&model, "m-00001-of-00002.gguf", &cases[i].first, "a");
        put_keyed_part(&model, "m-00002-of-00002.gguf", &cases[i].second, "b");
        CHECK_STR(split_note(&model, NULL), cases[i].note);
    }
    model_fini(&model);
}

CASE(two_formats, "an index whose shards have two formats is refused, naming both")
{
    static const struct part part = {-1, -1, -1};
    struct failure failure = {.status = TRIT_OK};
    struct reader *reader;
    struct model model;

    model_init(&model);
    model_tensor(&model, "a.safetensors", "a", 1);
    put_keyed_part(&model, "b.gguf", &part, "b");
    model_text(&model, "model.safetensors.index.json",
               "{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.gguf\"}}");
    CHECK(reader_open(&reader, model.folder, NULL, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.message, "b.gguf: it is a gguf file, and the file before it is "
                               "safetensors; name one of them");
    model_fini(&model);
}
