/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors, read: 8 bytes of header length, a JSON object of entries, the
 * data. Stricter than the reference reader in what it takes for a header:
 * unsigned decimal integers, at most TRIT_RANK_MAX axes, no control characters
 * in names. Like it, it ignores further fields of an entry.
 *
 * 1. The header's bytes are read; its length was checked against the file first.
 * 2. header_scan walks them once and bounds what JSON may cost: depth, members
 *    an object, nothing outside strings but punctuation and digits, no control
 *    characters inside.
 * 3. Each member is parsed alone (two values: name, entry), turned into a table
 *    entry and freed, so memory follows the table and not the text.
 * 4. With all entries known, they must cover the data: check_coverage. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "files/formats.h"
#include "files/identify.h"
#include "json/json.h"

enum {
    LENGTH_BYTES = 8,
    DEPTH_MAX = 3, /* header, entry, shape */
};

static const char METADATA[] = "__metadata__";

struct header {
    const char *text;
    size_t bytes;
    size_t at; /* parsed so far */
    bool metadata_seen;
};

static int malformed(struct failure *failure, const char *what, size_t at)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "safetensors header: %s at byte %zu", what, at);
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20;
}

/* The end of the string that begins at text[at] == '"', or its first control character;
 * `bytes` or more if it has neither. */
static size_t string_end(const char *text, size_t bytes, size_t at)
{
    for (at++; at < bytes && text[at] != '"' && !is_control(text[at]); at++)
        if (text[at] == '\\')
            at++;
    return at;
}

static int fail_control(struct failure *failure, char c, size_t at)
{
    return malformed(failure,
                     c == '\0' ? "a zero byte, as in an interrupted download,"
                               : "a control character in a string",
                     at);
}

/* The letters are those of null, which MLX writes for empty metadata; json_read checks
 * the spelling. A header has no signs, points or exponents. */
static bool allowed_outside_strings(char c)
{
    return c != '\0' && strchr("{}[]:,\"0123456789 \t\r\nnul", c) != NULL;
}

static int header_scan(const char *text, size_t bytes, struct failure *failure)
{
    static const size_t members_max[DEPTH_MAX] = {FILES_TENSORS_MAX + 1, FILES_PAIRS_MAX,
                                                  TRIT_RANK_MAX};
    size_t members[DEPTH_MAX] = {0}, depth = 0;

    for (size_t at = 0; at < bytes; at++) {
        char c = text[at];

        if (c == '\0')
            return fail_control(failure, c, at);
        if (!allowed_outside_strings(c))
            return malformed(failure, "an unexpected character, so it is not valid JSON,",
                             at);
        if (c == '"') {
            at = string_end(text, bytes, at);
            if (at < bytes && is_control(text[at]))
                return fail_control(failure, text[at], at);
        } else if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX)
                return malformed(failure, "nesting deeper than 3", at);
            members[depth++] = 1;
        } else if (c == '}' || c == ']') {
            if (depth-- == 0)
                return malformed(failure, "an unopened bracket", at);
        } else if (c == ',' && depth && ++members[depth - 1] > members_max[depth - 1]) {
            return malformed(failure,
                             depth == DEPTH_MAX ? "more than 8 axes" : "too many members",
                             at);
        }
    }
    return 0;
}

static void skip_space(struct header *header)
{
    while (header->at < header->bytes && strchr(" \t\r\n", header->text[header->at]) &&
           header->text[header->at] != '\0')
        header->at++;
}

static bool take(struct header *header, char c)
{
    skip_space(header);
    if (header->at >= header->bytes || header->text[header->at] != c)
        return false;
    header->at++;
    return true;
}

/* The end of the value that begins at header->at: one past its last byte, or the end of
 * the text where it has none. header_scan has checked strings and depth. */
static size_t value_end(const struct header *header)
{
    size_t at = header->at, depth = 0;

    while (at < header->bytes) {
        char c = header->text[at];

        if (c == '"') {
            at = string_end(header->text, header->bytes, at);
            if (depth == 0)
                return at < header->bytes ? at + 1 : header->bytes;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth <= 1)
                return depth == 0 ? at : at + 1;
            depth--;
        } else if (depth == 0 && (c == ',' || c == ':')) {
            return at;
        }
        at++;
    }
    return header->bytes;
}

/* Reads one JSON value. NULL: there is none, and the failure is filled. */
static json_t *take_value(struct header *header, struct failure *failure)
{
    const size_t end = value_end(header);
    struct json_fault fault;
    json_t *value;

    if (end == header->at) {
        malformed(failure, "no value", end);
        return NULL;
    }
    value = json_read(header->text + header->at, end - header->at, JSON_READ_UNIQUE_KEYS,
                      &fault);
    if (value)
        header->at = end;
    else if (fault.kind == JSON_FAULT_MEMORY)
        fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    else
        malformed(failure, fault.words, header->at + fault.position);
    return value;
}

static bool get_unsigned(const json_t *value, uint64_t *number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static int read_shape(const json_t *shape, struct tensor_entry *entry,
                      struct failure *failure)
{
    if (!json_is_array(shape) || json_array_size(shape) > TRIT_RANK_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: shape is not a list of at most %d sizes", entry->name,
                    TRIT_RANK_MAX);
    entry->rank = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < entry->rank; i++)
        if (!get_unsigned(json_array_get(shape, i), &entry->shape[i]))
            return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                        "tensor %s: shape holds something that is not a size",
                        entry->name);
    return 0;
}

static int read_offsets(const json_t *offsets, struct tensor_entry *entry, uint64_t *end,
                        struct failure *failure)
{
    if (json_array_size(offsets) != 2 ||
        !get_unsigned(json_array_get(offsets, 0), &entry->offset) ||
        !get_unsigned(json_array_get(offsets, 1), end) || *end < entry->offset)
        return fail(failure, TRIT_INVALID_ARGUMENT, "data_offsets",
                    "tensor %s: data_offsets is not [begin, end]", entry->name);
    return 0;
}

/* Adds the entry to the table. Its offset still counts from the start of the data. The
 * size by shape and type must equal the size by the offsets. */
static int add_entry(struct tensor_table *table, const char *name, const json_t *value,
                     struct failure *failure)
{
    const char *type = json_string_value(json_object_get(value, "dtype"));
    struct tensor_entry entry = {.name = name};
    uint64_t end = 0;

    if (!json_is_object(value) || !type || !json_object_get(value, "shape") ||
        !json_object_get(value, "data_offsets"))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "tensor %s: its entry is not dtype, shape and data_offsets", name);
    entry.type = element_type_by_name(type);
    if (!entry.type)
        return fail(failure, TRIT_INVALID_ARGUMENT, "dtype",
                    "tensor %s: unknown dtype \"%.32s\"", name, type);
    if (read_shape(json_object_get(value, "shape"), &entry, failure) != 0 ||
        read_offsets(json_object_get(value, "data_offsets"), &entry, &end, failure) !=
            0 ||
        table_add(table, &entry, failure) != 0)
        return -1;
    if (table->entries[table->count - 1].bytes != end - entry.offset)
        return fail(failure, TRIT_INVALID_ARGUMENT, "data_offsets",
                    "tensor %s: its shape needs %" PRIu64
                    " bytes, its data_offsets hold %" PRIu64,
                    name, table->entries[table->count - 1].bytes, end - entry.offset);
    return 0;
}

static int add_metadata(struct tensor_table *table, json_t *value,
                        struct failure *failure)
{
    const char *key;
    json_t *text;

    if (json_is_null(value))
        return 0;
    if (!json_is_object(value))
        return fail(failure, TRIT_INVALID_ARGUMENT, METADATA,
                    "__metadata__ is not an object");
    json_object_foreach(value, key, text)
    {
        if (!json_is_string(text))
            return fail(failure, TRIT_INVALID_ARGUMENT, METADATA,
                        "__metadata__ holds a value that is not a string");
        if (table_add_pair(table, key, json_string_value(text), failure) != 0)
            return -1;
    }
    return 0;
}

static int add_member(struct header *header, struct tensor_table *table, const char *name,
                      json_t *value, struct failure *failure)
{
    if (strcmp(name, METADATA) != 0)
        return add_entry(table, name, value, failure);
    if (header->metadata_seen)
        return malformed(failure, "a second __metadata__", header->at);
    header->metadata_seen = true;
    return add_metadata(table, value, failure);
}

/* "name": value */
static int take_member(struct header *header, struct tensor_table *table,
                       struct failure *failure)
{
    json_t *name, *value;
    int result;

    skip_space(header);
    if (header->at >= header->bytes || header->text[header->at] != '"')
        return malformed(failure, "no name", header->at);
    name = take_value(header, failure);
    if (!name)
        return -1;
    if (!take(header, ':')) {
        json_decref(name);
        return malformed(failure, "no colon", header->at);
    }
    value = take_value(header, failure);
    result =
        value ? add_member(header, table, json_string_value(name), value, failure) : -1;
    json_decref(value);
    json_decref(name);
    return result;
}

static int take_object(struct header *header, struct tensor_table *table,
                       struct failure *failure)
{
    if (header->bytes == 0 || header->text[0] != '{')
        return malformed(failure, "no {", 0);
    header->at = 1;
    if (!take(header, '}')) {
        do {
            if (take_member(header, table, failure) != 0)
                return -1;
        } while (take(header, ','));
        if (!take(header, '}'))
            return malformed(failure, "neither , nor }", header->at);
    }
    skip_space(header);
    return header->at == header->bytes
               ? 0
               : malformed(failure, "text after the object", header->at);
}

static const char *bytes_are(uint64_t count)
{
    return count == 1 ? "byte is" : "bytes are";
}

static int fail_truncated(const char *name, uint64_t missing, struct failure *failure)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, "data_offsets",
                "tensor %s goes beyond the end of the file: the file is truncated, "
                "%" PRIu64 " %s missing",
                name, missing, bytes_are(missing));
}

/* Checks that the data has no holes or overlaps. *end: where the last tensor ends. */
static int check_order(struct tensor_table *table, uint64_t *end, struct failure *failure)
{
    *end = 0;
    if (table_seal(table, failure) != 0)
        return -1;
    for (size_t i = 0; i < table->count; i++) {
        struct tensor_entry *entry = &table->entries[i];

        if (entry->offset != *end)
            return fail(failure, TRIT_INVALID_ARGUMENT, "data_offsets",
                        "tensor %s begins at byte %" PRIu64
                        " of the data, the one before ends at %" PRIu64,
                        entry->name, entry->offset, *end);
        if (add_overflows(*end, entry->bytes, end))
            return fail(failure, TRIT_INVALID_ARGUMENT, "data_offsets",
                        "tensor %s: its end overflows 64 bits", entry->name);
    }
    return 0;
}

/* Checks that the file ends where the last tensor ends. */
static int check_end(const struct tensor_table *table, uint64_t end, uint64_t data_bytes,
                     struct failure *failure)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->entries[i].offset + table->entries[i].bytes > data_bytes)
            return fail_truncated(table->entries[i].name, end - data_bytes, failure);
    if (end == data_bytes)
        return 0;
    return fail(failure, TRIT_INVALID_ARGUMENT, "data_offsets",
                "%" PRIu64 " %s the last tensor", data_bytes - end,
                data_bytes - end == 1 ? "byte follows" : "bytes follow");
}

/* Then makes offsets count from the start of the file. */
static int check_coverage(struct tensor_table *table, bool may_be_cut,
                          uint64_t data_start, uint64_t data_bytes,
                          struct failure *failure)
{
    uint64_t end;

    if (check_order(table, &end, failure) < 0 ||
        (may_be_cut && end > data_bytes ? table_cut(table, data_bytes, failure)
                                        : check_end(table, end, data_bytes, failure)) < 0)
        return -1;
    for (size_t i = 0; i < table->count; i++)
        table->entries[i].offset += data_start;
    return 0;
}

static int read_header(struct source *source, const struct read_options *options,
                       char *text, uint64_t bytes, struct tensor_table *table,
                       struct failure *failure)
{
    struct header header = {.text = text, .bytes = (size_t)bytes};

    if (source_read(source, LENGTH_BYTES, text, bytes, failure) != 0 ||
        header_scan(text, header.bytes, failure) != 0 ||
        take_object(&header, table, failure) != 0)
        return -1;
    return check_coverage(table, options->may_be_cut, LENGTH_BYTES + bytes,
                          source_bytes(source) - LENGTH_BYTES - bytes, failure);
}

static int read_length(struct source *source, uint64_t *length, struct failure *failure)
{
    uint8_t raw[LENGTH_BYTES];

    if (source_read(source, 0, raw, LENGTH_BYTES, failure) != 0)
        return -1;
    *length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        *length = *length << 8 | raw[i];
    return 0;
}

/* The length of the header is impossible. No safetensors file has such a header, so the
 * file may be of another kind whose ninth byte is '{' by chance, such as a text. */
static int fail_length(struct source *source, uint64_t bytes, uint64_t bytes_max,
                       struct failure *failure)
{
    const uint64_t left = source_bytes(source) - LENGTH_BYTES;
    char text[IDENTITY_BYTES];
    int known = bytes == 0 || bytes > FILES_HEADER_BYTES_MAX
                    ? identify_source(source, text, failure)
                    : 0;

    if (known < 0)
        return -1;
    if (known)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "it %s", text);
    if (bytes > bytes_max)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "safetensors header of %" PRIu64 " bytes, at most %" PRIu64
                    " are allowed",
                    bytes, bytes_max);
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                "safetensors header of %" PRIu64
                " bytes goes beyond the end of the file: "
                "the file is truncated, %" PRIu64 " %s missing",
                bytes, bytes - left, bytes_are(bytes - left));
}

static int read_safetensors(struct source *source, const struct read_options *options,
                            struct tensor_table *table, struct failure *failure)
{
    uint64_t bytes = 0;
    char *text;
    int result;

    if (read_length(source, &bytes, failure) != 0)
        return -1;
    if (bytes == 0 || bytes > options->header_bytes_max ||
        bytes > source_bytes(source) - LENGTH_BYTES)
        return fail_length(source, bytes, options->header_bytes_max, failure);
    text = malloc((size_t)bytes + 1);
    if (!text)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    result = read_header(source, options, text, bytes, table, failure);
    free(text);
    return result;
}

/* No other format begins with a length and an opening brace. */
static bool probe_safetensors(const uint8_t *head, size_t count)
{
    return count > LENGTH_BYTES && head[LENGTH_BYTES] == '{';
}

const struct reader_ops safetensors_reader = {"safetensors", probe_safetensors,
                                              read_safetensors};
