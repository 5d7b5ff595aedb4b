/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors, read: every rule of the format, one hostile file each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "files/reader.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

enum { FILE_BYTES_MAX = 1 << 16 };

/* ---- a file in memory ------------------------------------------------------------ */

struct image {
    uint8_t bytes[FILE_BYTES_MAX];
    uint64_t count;
};

/* Length, header, `data` bytes 0, 1, 2 ... */
static void image_make(struct image *image, const char *header, uint64_t data)
{
    uint64_t length = strlen(header);

    CHECK(8 + length + data <= FILE_BYTES_MAX);
    for (int i = 0; i < 8; i++)
        image->bytes[i] = (uint8_t)(length >> (8 * i));
    memcpy(image->bytes + 8, header, length);
    for (uint64_t i = 0; i < data; i++)
        image->bytes[8 + length + i] = (uint8_t)i;
    image->count = 8 + length + data;
}

static int image_open(struct reader **reader, const struct image *image,
                      struct failure *failure)
{
    struct source *source = NULL;

    *failure = (struct failure){.status = TRIT_OK};
    *reader = NULL;
    if (source_memory(&source, image->bytes, image->count, "image", failure) != 0)
        return -1;
    return reader_open_source(reader, source, NULL, failure);
}

/* The header is taken with so many bytes of data behind it. */
static struct reader *taken(const char *header, uint64_t data)
{
    static struct image image;
    struct reader *reader;
    struct failure failure;

    image_make(&image, header, data);
    if (image_open(&reader, &image, &failure) != 0)
        check_failed(__FILE__, __LINE__, "refused %s: %s", header, failure.message);
    return reader;
}

/* It is refused with INVALID_ARGUMENT, and `word` is in the message. */
static void refused_image(const struct image *image, const char *word)
{
    struct reader *reader;
    struct failure failure;

    if (image_open(&reader, image, &failure) == 0) {
        reader_close(reader);
        check_failed(__FILE__, __LINE__, "taken, \"%s\" was due", word);
    }
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    if (!strstr(failure.message, word))
        check_failed(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", word,
                     failure.message);
}

static void refused(const char *header, uint64_t data, const char *word)
{
    static struct image image;

    image_make(&image, header, data);
    refused_image(&image, word);
}

#define ENTRY(name, dtype, shape, begin, end)                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape                            \
    "],\"data_offsets\":[" begin "," end "]}"

/* ---- what is taken ----------------------------------------------------------------- */

CASE(reads_a_table, "a table comes with its names, types, shapes, bytes and metadata")
{
    struct reader *reader = taken(
        "{\"__metadata__\":{\"format\":\"pt\",\"\\u00e9\":\"x\"}," ENTRY(
            "b", "BF16", "2,3", "16", "28") "," ENTRY("a", "F32", "4", "0", "16") "}  ",
        28);
    const struct tensor_table *table = reader_table(reader);
    const struct tensor_entry *b;
    uint8_t piece[3];

    CHECK_STR(reader_format(reader), "safetensors");
    CHECK_EQ(table->count, 2);
    CHECK_STR(table->entries[0].name, "a");
    CHECK_STR(table->entries[1].name, "b");
    CHECK_STR(table_pair(table, "format"), "pt");
    CHECK_STR(table_pair(table, "\xc3\xa9"), "x");
    b = table_find(table, "b");
    CHECK(b == &table->entries[1]);
    CHECK_EQ(b->type->dtype, TRIT_BF16);
    CHECK_EQ(b->rank, 2);
    CHECK_EQ(b->shape[1], 3);
    CHECK_EQ(b->bytes, 12);
    CHECK(reader_read(reader, b, 2, piece, 3, NULL) == 0);
    CHECK_MEM(piece, ((uint8_t[]){18, 19, 20}), 3);
    CHECK(!table_find(table, "c"));
    reader_close(reader);
}

CASE(takes_what_others_write, "files of other writers are read")
{
    reader_close(taken("{}", 0));
    reader_close(taken("{\"__metadata__\":null," ENTRY("a", "U8", "", "0", "1") "}", 1));
    reader_close(taken("{ }\n\t ", 0));
    reader_close(taken(
        "{" ENTRY("e", "F32", "0,7", "4", "4") "," ENTRY("a", "F32", "1", "0", "4") "}",
        4));
    reader_close(taken(
        "{" ENTRY("e", "F32", "0", "0", "0") "," ENTRY("a", "F32", "1", "0", "4") "}",
        4));
    reader_close(taken("{" ENTRY("f", "F4", "2", "0", "1") "}", 1));
    reader_close(taken("{" ENTRY("s", "F6_E2M3", "4", "0", "3") "}", 3));
    reader_close(taken("{" ENTRY("", "U8", "1,1,1,1,1,1,1,1", "0", "1") "}", 1));
    reader_close(
        taken("{\"a\":{\"data_offsets\":[0,2],\"shape\":[2],\"dtype\":\"U8\"}}", 2));
    reader_close(taken("{\"a\":{\"dtype\":\"U8\",\"x\":[],\"shape\":[2],\"data_offsets\":"
                       "[0,2],\"y\":\"z\"}}",
                       2));
}

CASE(knows_every_type, "every element type of the format is known")
{
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = {{"BOOL", 8},    {"F4", 4},      {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8},
                 {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16},
                 {"BF16", 16},   {"I32", 32},    {"U32", 32}, {"F32", 32}, {"C64", 64},
                 {"F64", 64},    {"I64", 64},    {"U64", 64}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct element_type *type = element_type_by_name(types[i].name);

        CHECK(type);
        CHECK_EQ(type->bits, types[i].bits);
    }
    CHECK(!element_type_by_name("f32"));
    CHECK(!element_type_of(TRIT_DTYPE_UNSPECIFIED));
    CHECK_STR(element_type_of(TRIT_BF16)->name, "BF16");
}

CASE(reads_the_sample, "the sample checkpoint is read")
{
    struct reader *reader = NULL;
    struct failure failure = {.status = TRIT_OK};
    const struct tensor_entry *entry;
    void *data;

    CHECK(reader_open(&reader, "tests/data/silero_vad_16k.safetensors", NULL, &failure) ==
          0);
    CHECK_EQ(reader_table(reader)->count, 15);
    entry = table_find(reader_table(reader), "lstm_cell.weight_hh");
    CHECK(entry);
    CHECK_EQ(entry->bytes, 512 * 128 * 4);
    data = malloc(entry->bytes);
    CHECK(reader_read(reader, entry, 0, data, entry->bytes, &failure) == 0);
    CHECK(reader_read(reader, entry, 1, data, entry->bytes, &failure) != 0);
    CHECK_EQ(failure.status, TRIT_OUT_OF_RANGE);
    CHECK(reader_unchanged(reader, NULL) == 0);
    free(data);
    reader_close(reader);
}

/* ---- what is refused -------------------------------------------------------------- */

CASE(refuses_bad_lengths, "header lengths beyond the bound or the file are refused")
{
    static struct image image;
    struct reader *reader;
    struct failure failure;

    image_make(&image, "{}", 0);
    image.count = 0;
    refused_image(&image, "it is empty");
    for (image.count = 1; image.count < 9; image.count++)
        refused_image(&image, "neither");
    image_make(&image, "{}", 0);
    image.count = 9;
    refused_image(&image, "beyond the end of the file: the file is truncated, 1 byte is "
                          "missing");
    image.bytes[7] = 0x80; /* 2^63 and a bit */
    refused_image(&image, "at most 100000000");
    memset(image.bytes, 0xff, 8);
    refused_image(&image, "at most 100000000");
    image_make(&image, "{}", 0);
    memcpy(image.bytes, "\x01\xe1\xf5\x05\0\0\0\0", 8); /* 100,000,001 */
    refused_image(&image, "at most 100000000");
    memcpy(image.bytes, "\x00\xe1\xf5\x05\0\0\0\0", 8);
    refused_image(&image, "beyond the end");
    image_make(&image, " {}", 0);
    CHECK(image_open(&reader, &image, &failure) != 0);
}

CASE(refuses_bad_json, "a header that is not the JSON of tensors is refused")
{
    static const struct {
        const char *header, *word;
    } cases[] = {
        {"{", "no name"},
        {"{}}", "unopened"},
        {"{}x", "an unexpected character"},
        {"{}{}", "after the object"},
        {"{\"a\"}", "no colon"},
        {"{\"a\":}", "no value"},
        {"{\"a\":[}", "invalid JSON"},
        {"{,}", "no name"},
        {"{1:2}", "no name"},
        {"{\"__metadata__\":{},}", "no name"},
        {"{\"a\":1}", "its entry is not"},
        {"{\"a\":null}", "its entry is not"},
        {"{\"a\":[]}", "its entry is not"},
        {"{\"a\":{}}", "its entry is not"},
        {"{\"a\":[[[[1]]]]}", "nesting"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "a second __metadata__"},
        {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", "duplicate key"},
        {"{\"__metadata__\":{\"a\":1}}", "not a string"},
        {"{\"__metadata__\":{\"a\":null}}", "not a string"},
        {"{\"__metadata__\":[]}", "not an object"},
        {"{\"__metadata__\":\"x\"}", "not an object"},
        {"{\"a\\u0000b\":{}}", "NUL"},
        {"{\"\\ud800\":{}}", "invalid JSON"},
        {"{\"\xff\":{}}", "UTF-8"},
        {"{\"\xc0\x80\":{}}", "UTF-8"},
        {"{\"\xed\xa0\x80\":{}}", "UTF-8"},
        {"{\"unterminated", "too early"},
        {"{\"a\\", "too early"},
        {"{\"a\":nul}", "too early"},
        {"{\"a\":true}", "an unexpected character"},
        {"{/**/}", "an unexpected character"},
        {"{\"a\":\001", "an unexpected character"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refused(cases[i].header, 0, cases[i].word);
}

CASE(refuses_bad_entries, "an entry with a wrong or missing field is refused")
{
    refused("{" ENTRY("a", "F31", "1", "0", "4") "}", 4, "unknown dtype \"F31\"");
    refused("{" ENTRY("a", "f32", "1", "0", "4") "}", 4, "unknown dtype");
    refused("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "its entry");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4}}", 4,
            "data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", 4,
            "data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4,
            "data_offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "its entry");
    refused("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":["
            "0,4]}}",
            4, "duplicate key");
    refused("{" ENTRY("a", "F32", "\\\"1\\\"", "0", "4") "}", 4, "");
    refused("{" ENTRY("a", "F32", "\"1\"", "0", "4") "}", 4, "not a size");
    refused("{" ENTRY("a", "F32", "1,1,1,1,1,1,1,1,1", "0", "4") "}", 4, "8 axes");
    refused("{" ENTRY("a\n", "U8", "1", "0", "1") "}", 1, "control character");
    refused("{" ENTRY("a\x1f", "U8", "1", "0", "1") "}", 1, "control character");
    refused("{" ENTRY("a\\u0007", "U8", "1", "0", "1") "}", 1, "control character");
    refused("{" ENTRY("a\\n", "U8", "1", "0", "1") "}", 1, "control character");
    refused("{" ENTRY("\\u009b", "U8", "1", "0", "1") "}", 1, "control character");
    refused("{" ENTRY("\\u007f", "U8", "1", "0", "1") "}", 1, "control character");
    refused("{" ENTRY("a", "U8", "1", "0", "1") "," ENTRY("a", "U8", "1", "1", "2") "}",
            2, "two tensors have the name a");
}

/* Integers have digits and nothing else. */
CASE(refuses_bad_numbers, "signs, fractions, exponents and leading zeros are refused")
{
    static const char *const numbers[] = {"-1",  "-0", "+1",  "1.0",
                                          "1e0", "01", "0x1", "1 1"};
    char header[256];

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        snprintf(header, sizeof(header),
                 "{\"a\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,1]}}",
                 numbers[i]);
        refused(header, 1, "");
        snprintf(header, sizeof(header),
                 "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%s,1]}}",
                 numbers[i]);
        refused(header, 1, "");
    }
    refused("{" ENTRY("a", "U8", "18446744073709551616", "0", "1") "}", 1, "not a size");
    refused("{" ENTRY("a", "U8", "9223372036854775808", "0", "1") "}", 1, "above 2^63-1");
}

CASE(refuses_sizes_that_overflow, "sizes whose product overflows are refused")
{
    refused("{" ENTRY("a", "U8", "4294967296,4294967296,2", "0", "0") "}", 0,
            "overflows");
    refused("{" ENTRY("a", "F64", "2305843009213693952,1", "0", "0") "}", 0, "overflows");
    refused("{" ENTRY("a", "F32", "9223372036854775807,2", "0", "0") "}", 0, "overflows");
    refused("{" ENTRY("a", "F4", "3", "0", "1") "}", 1, "a whole number of bytes");
    /* A zero does not make an overflow before it legal. */
    refused("{" ENTRY("a", "U8", "4294967296,4294967296,0", "0", "0") "}", 0,
            "overflows");
    refused("{" ENTRY("a", "U8", "9223372036854775807", "0", "9223372036854775807") "}",
            1, "overflows");
}

CASE(refuses_data_not_covered, "holes, overlaps, trailing and missing bytes are refused")
{
    refused("{}", 1, "1 byte follows the last tensor");
    refused("{" ENTRY("a", "U8", "4", "0", "4") "}", 20,
            "16 bytes follow the last tensor");
    refused("{" ENTRY("a", "U8", "4", "0", "4") "}", 3,
            "beyond the end of the file: the file is truncated, 1 byte is missing");
    refused("{" ENTRY("a", "U8", "4", "0", "4") "," ENTRY("b", "U8", "8", "4", "12") "}",
            3, "9 bytes are missing");
    refused("{" ENTRY("a", "U8", "4", "1", "5") "}", 5, "begins at byte 1");
    refused("{" ENTRY("a", "U8", "4", "0", "4") "," ENTRY("b", "U8", "4", "5", "9") "}",
            9, "begins at byte 5");
    refused("{" ENTRY("a", "U8", "4", "0", "4") "," ENTRY("b", "U8", "4", "3", "7") "}",
            7, "begins at byte 3");
    refused("{" ENTRY("a", "U8", "4", "0", "4") "," ENTRY("b", "U8", "4", "0", "4") "}",
            4, "begins at byte 0");
    refused("{" ENTRY("a", "U8", "4", "4", "0") "}", 4, "data_offsets");
    refused("{" ENTRY("a", "F32", "2", "0", "4") "}", 4, "needs 8 bytes");
    refused("{" ENTRY("a", "F32", "1", "0", "8") "}", 8, "needs 4 bytes");
    refused("{" ENTRY("e", "U8", "0", "2", "2") "," ENTRY("a", "U8", "4", "0", "4") "}",
            4, "begins at byte");
}

CASE(refuses_a_long_name,
     "a name of the greatest length is accepted, a longer one refused")
{
    static char header[4096];
    char name[FILES_NAME_BYTES_MAX + 2];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(header, sizeof(header),
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    refused(header, 1, "at most 1024");
    snprintf(header, sizeof(header),
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
             name + 1);
    reader_close(taken(header, 1));
}

/* Every file that is a beginning of a good one is refused. */
CASE(refuses_every_beginning, "every proper prefix of a valid file is refused")
{
    static struct image image;
    struct reader *reader;
    struct failure failure;
    uint64_t whole;

    image_make(&image,
               "{\"__metadata__\":{\"k\":\"v\"}," ENTRY("a", "F32", "1", "0", "4") "}",
               4);
    whole = image.count;
    for (image.count = 0; image.count < whole; image.count++) {
        CHECK(image_open(&reader, &image, &failure) != 0);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    }
    CHECK(image_open(&reader, &image, &failure) == 0);
    reader_close(reader);
}

/* Flipping any bit of the header is survived; what is still taken adds up. */
CASE(survives_flipped_bits, "a header with any bit flipped is either read or refused")
{
    static struct image image;
    struct reader *reader;
    struct failure failure;
    uint64_t header_end;

    image_make(&image,
               "{\"__metadata__\":{\"k\":\"v\"}," ENTRY("a", "F32", "1,2", "0", "8") "}",
               8);
    header_end = image.count - 8;
    for (uint64_t bit = 0; bit < header_end * 8; bit++) {
        image.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (image_open(&reader, &image, &failure) == 0) {
            CHECK_EQ(reader_table(reader)->count, 1);
            CHECK_EQ(reader_table(reader)->entries[0].bytes, 8);
            reader_close(reader);
        }
        image.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

CASE(obeys_the_header_bound, "a smaller header bound is respected")
{
    static struct image image;
    struct read_options options = {.header_bytes_max = 64};
    struct failure failure = {.status = TRIT_OK};
    struct source *source;
    struct reader *reader;

    image_make(&image, "{" ENTRY("a", "F32", "1", "0", "4") "}            ", 4);
    CHECK(source_memory(&source, image.bytes, image.count, "image", NULL) == 0);
    CHECK(reader_open_source(&reader, source, &options, &failure) != 0);
    CHECK(strstr(failure.message, "at most 64"));
}

/* Any allocation, jansson's included, may fail: a status and no leak. */
CASE(survives_lack_of_memory, "whichever allocation fails, there is a status and no leak")
{
    static struct image image;
    struct reader *reader;
    struct failure failure;
    uint64_t n = 1;

    image_make(&image,
               "{\"__metadata__\":{\"k\":\"v\"}," ENTRY(
                   "a", "F32", "1,2", "0", "8") "," ENTRY("b", "U8", "2", "8", "10") "}",
               10);
    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        int result;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = image_open(&reader, &image, &failure);
        if (!fault_disarm()) {
            CHECK(result == 0);
            break;
        }
        CHECK(result != 0);
        CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
        CHECK(n < 1000);
    }
    json_set_alloc_funcs(malloc, free);
    reader_close(reader);
    CHECK(n > 10);
}
