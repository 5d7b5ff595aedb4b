/* SPDX-License-Identifier: Apache-2.0 */
#include "files/gguf_values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/utf8.h"

enum {
    KEY_BYTES_MAX = 65535,
    ARRAY_VALUES_MAX = 1 << 30,
    STRING_BYTES_MAX = 1 << 30,
};

/* Types of values, in the order of their numbers. */
enum value_type {
    VALUE_U8,
    VALUE_I8,
    VALUE_U16,
    VALUE_I16,
    VALUE_U32,
    VALUE_I32,
    VALUE_F32,
    VALUE_BOOL,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_U64,
    VALUE_I64,
    VALUE_F64,
    VALUE_TYPES,
};

static const struct {
    const char *name;
    uint8_t bytes; /* 0: it varies */
} value_types[VALUE_TYPES] = {
    [VALUE_U8] = {"u8", 1},         [VALUE_I8] = {"i8", 1},
    [VALUE_U16] = {"u16", 2},       [VALUE_I16] = {"i16", 2},
    [VALUE_U32] = {"u32", 4},       [VALUE_I32] = {"i32", 4},
    [VALUE_F32] = {"f32", 4},       [VALUE_BOOL] = {"bool", 1},
    [VALUE_STRING] = {"string", 0}, [VALUE_ARRAY] = {"array", 0},
    [VALUE_U64] = {"u64", 8},       [VALUE_I64] = {"i64", 8},
    [VALUE_F64] = {"f64", 8},
};

struct values {
    struct gguf_cursor *cursor;
    struct tensor_table *table;
    uint32_t *alignment;
    struct failure *failure;
};

static int malformed(struct values *values, const char *what, const char *key)
{
    return fail(values->failure, TRIT_INVALID_ARGUMENT, NULL, "GGUF header: %s%s%s", what,
                key ? " " : "", key ? key : "");
}

static double double_of(uint64_t bits, size_t bytes)
{
    double wide;
    float narrow;
    const uint32_t low = (uint32_t)bits;

    if (bytes == sizeof(narrow)) {
        memcpy(&narrow, &low, sizeof(narrow));
        return (double)narrow;
    }
    memcpy(&wide, &bits, sizeof(wide));
    return wide;
}

static int64_t sign_extended(uint64_t bits, size_t bytes)
{
    const unsigned shift = 64 - 8 * (unsigned)bytes;

    return (int64_t)(bits << shift) >> shift;
}

/* "general.alignment" must be a u32 and a power of two. */
static int take_alignment(struct values *values, enum value_type type, uint64_t number)
{
    if (type != VALUE_U32 || number == 0 || number > UINT32_MAX ||
        (number & (number - 1)) != 0)
        return fail(values->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "GGUF header: general.alignment is %" PRIu64
                    " of GGUF's type %d; it must be a power of two of type %d (u32)",
                    number, (int)type, (int)VALUE_U32);
    *values->alignment = (uint32_t)number;
    return 0;
}

static int take_number(struct values *values, const char *key, enum value_type type)
{
    const size_t count = value_types[type].bytes;
    uint8_t bytes[sizeof(uint64_t)];
    char text[64];

    if (gguf_take(values->cursor, bytes, count, "a value", values->failure) < 0)
        return -1;
    const uint64_t number = gguf_number(bytes, count);
    if (strcmp(key, "general.alignment") == 0 && take_alignment(values, type, number) < 0)
        return -1;
    if (type == VALUE_F32)
        snprintf(text, sizeof(text), "%.9g", double_of(number, count));
    else if (type == VALUE_F64)
        snprintf(text, sizeof(text), "%.17g", double_of(number, count));
    else if (type == VALUE_BOOL)
        snprintf(text, sizeof(text), "%s", number ? "true" : "false");
    else if (type == VALUE_I8 || type == VALUE_I16 || type == VALUE_I32 ||
             type == VALUE_I64)
        snprintf(text, sizeof(text), "%" PRId64, sign_extended(number, count));
    else
        snprintf(text, sizeof(text), "%" PRIu64, number);
    return table_add_pair(values->table, key, text, values->failure);
}

static int take_text(struct values *values, const char *key)
{
    char *text, shown[64];
    size_t length;

    if (gguf_take_string(values->cursor, STRING_BYTES_MAX, &text, &length, "a string",
                         values->failure) < 0)
        return -1;
    snprintf(shown, sizeof(shown), "[%zu bytes that are not UTF-8]", length);
    const bool valid = strlen(text) == length && utf8_is_valid(text);
    const int result =
        table_add_pair(values->table, key, valid ? text : shown, values->failure);
    free(text);
    return result;
}

static int skip_strings(struct values *values, uint64_t count)
{
    uint64_t bytes;

    for (uint64_t i = 0; i < count; i++)
        if (gguf_take_u64(values->cursor, &bytes, "an array", values->failure) < 0 ||
            gguf_skip(values->cursor, bytes, "an array", values->failure) < 0)
            return -1;
    return 0;
}

static int take_array(struct values *values, const char *key)
{
    uint32_t type;
    uint64_t count;
    char text[64];

    if (gguf_take_u32(values->cursor, &type, "an array", values->failure) < 0 ||
        gguf_take_u64(values->cursor, &count, "an array", values->failure) < 0)
        return -1;
    if (type >= VALUE_TYPES || type == VALUE_ARRAY)
        return malformed(values,
                         "an array of a type that is not known, or of arrays:", key);
    if (count > ARRAY_VALUES_MAX)
        return malformed(values, "an array of more than 2^30 values:", key);
    if ((type == VALUE_STRING ? skip_strings(values, count)
                              : gguf_skip(values->cursor, count * value_types[type].bytes,
                                          "an array", values->failure)) < 0)
        return -1;
    snprintf(text, sizeof(text), "[%s x %" PRIu64 "]", value_types[type].name, count);
    return table_add_pair(values->table, key, text, values->failure);
}

static int take_value(struct values *values, const char *key)
{
    uint32_t type;

    if (gguf_take_u32(values->cursor, &type, "a value", values->failure) < 0)
        return -1;
    if (type >= VALUE_TYPES)
        return malformed(values, "a value of a type that is not known:", key);
    if ((type == VALUE_STRING || type == VALUE_ARRAY) &&
        strcmp(key, "general.alignment") == 0)
        return malformed(values, "general.alignment is no number", NULL);
    if (type == VALUE_STRING)
        return take_text(values, key);
    return type == VALUE_ARRAY ? take_array(values, key) : take_number(values, key, type);
}

static int take_pair(struct values *values)
{
    char *key;
    size_t length;
    const uint64_t start = values->cursor->at;
    int result;

    if (gguf_take_string(values->cursor, KEY_BYTES_MAX, &key, &length, "a key",
                         values->failure) < 0)
        return -1;
    if (length == 0 || strlen(key) != length || !utf8_is_name(key))
        result = malformed(values, "a key that is empty or not printable UTF-8", NULL);
    else
        result = take_value(values, key);
    if (result == 0) {
        struct tensor_pair *pair = &values->table->pairs[values->table->pair_count - 1];

        pair->offset = start;
        pair->bytes = values->cursor->at - start;
    }
    free(key);
    return result;
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static int check_keys(struct values *values)
{
    const size_t count = values->table->pair_count;
    const char **keys = malloc((count + 1) * sizeof(*keys));
    int result = 0;

    if (!keys)
        return fail(values->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "out of memory for a header");
    for (size_t i = 0; i < count; i++)
        keys[i] = values->table->pairs[i].key;
    qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 1; result == 0 && i < count; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            result = malformed(values, "it has a key twice:", keys[i]);
    free(keys);
    return result;
}

int gguf_take_values(struct gguf_cursor *cursor, uint64_t count,
                     struct tensor_table *table, uint32_t *alignment,
                     struct failure *failure)
{
    struct values values = {cursor, table, alignment, failure};

    for (uint64_t i = 0; i < count; i++)
        if (take_pair(&values) < 0)
            return -1;
    return check_keys(&values);
}
