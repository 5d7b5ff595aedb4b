/* SPDX-License-Identifier: Apache-2.0 */
/* Reads .npy: magic, version, header length, a Python dict literal padded with spaces
 * and a newline, the data. Accepts only what numpy.save writes for the element types
 * below; a refusal names what it found. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "files/formats.h"
#include "proto/utf8.h"

enum {
    MAGIC_BYTES = 6,
    PREFIX_BYTES_MAX = 12,        /* magic, version, and 4 bytes of length */
    HEADER_BYTES_MAX_NPY = 65536, /* numpy itself accepts 10000 */
    TEXT_BYTES_MAX = 32,          /* of a string in the dict */
};

static const uint8_t MAGIC[MAGIC_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

struct literal {
    const char *at, *end;
};

struct npy {
    char descr[TEXT_BYTES_MAX];
    bool has_descr, has_order, has_shape;
    bool fortran_order;
    uint32_t rank;
    uint64_t shape[TRIT_RANK_MAX];
};

static int malformed(struct failure *failure, const char *what)
{
    return fail(failure, TRIT_INVALID_ARGUMENT, NULL, ".npy header: %s", what);
}

static void skip_space(struct literal *literal)
{
    while (literal->at < literal->end && (*literal->at == ' ' || *literal->at == '\n'))
        literal->at++;
}

static bool take(struct literal *literal, char c)
{
    skip_space(literal);
    if (literal->at == literal->end || *literal->at != c)
        return false;
    literal->at++;
    return true;
}

static bool take_word(struct literal *literal, const char *word)
{
    size_t length = strlen(word);

    skip_space(literal);
    if ((size_t)(literal->end - literal->at) < length ||
        memcmp(literal->at, word, length) != 0)
        return false;
    literal->at += length;
    return true;
}

/* 'text' or "text", printable ASCII without escapes. */
static bool take_text(struct literal *literal, char text[TEXT_BYTES_MAX])
{
    char quote = take(literal, '\'') ? '\'' : take(literal, '"') ? '"' : '\0';
    size_t length = 0;

    if (!quote)
        return false;
    while (literal->at < literal->end && *literal->at != quote) {
        char c = *literal->at++;

        if (c < 0x20 || c > 0x7e || c == '\\' || length + 1 == TEXT_BYTES_MAX)
            return false;
        text[length++] = c;
    }
    text[length] = '\0';
    return take(literal, quote);
}

static bool take_number(struct literal *literal, uint64_t *number)
{
    size_t digits;

    skip_space(literal);
    digits = parse_digits(literal->at, (size_t)(literal->end - literal->at), number);
    if (digits == 0 || (*literal->at == '0' && digits > 1))
        return false;
    literal->at += digits;
    return true;
}

/* () or (3,) or (3, 4) or (3, 4,) */
static int take_shape(struct literal *literal, struct npy *npy, struct failure *failure)
{
    bool comma = true;

    if (!take(literal, '('))
        return malformed(failure, "shape is not a tuple");
    while (!take(literal, ')')) {
        if (npy->rank == TRIT_RANK_MAX)
            return malformed(failure, "shape has more than 8 axes");
        if (!comma || !take_number(literal, &npy->shape[npy->rank]))
            return malformed(failure, "shape holds something that is not a size");
        npy->rank++;
        comma = take(literal, ',');
    }
    if (npy->rank == 1 && !comma)
        return malformed(failure, "shape is not a tuple");
    return 0;
}

static int take_order(struct literal *literal, struct npy *npy, struct failure *failure)
{
    if (take_word(literal, "False"))
        npy->fortran_order = false;
    else if (take_word(literal, "True"))
        npy->fortran_order = true;
    else
        return malformed(failure, "fortran_order is neither True nor False");
    return 0;
}

static int claim(bool *has, struct failure *failure)
{
    if (*has)
        return malformed(failure, "it has a key twice");
    *has = true;
    return 0;
}

static int take_member(struct literal *literal, struct npy *npy, struct failure *failure)
{
    char key[TEXT_BYTES_MAX];

    if (!take_text(literal, key) || !take(literal, ':'))
        return malformed(failure, "it is not a dict with string keys");
    if (strcmp(key, "descr") == 0) {
        if (claim(&npy->has_descr, failure) != 0)
            return -1;
        return take_text(literal, npy->descr)
                   ? 0
                   : malformed(failure, "descr is not a plain element type");
    }
    if (strcmp(key, "fortran_order") == 0)
        return claim(&npy->has_order, failure) ? -1 : take_order(literal, npy, failure);
    if (strcmp(key, "shape") == 0)
        return claim(&npy->has_shape, failure) ? -1 : take_shape(literal, npy, failure);
    return malformed(failure, "it has a key other than descr, fortran_order and shape");
}

static int take_dict(struct literal *literal, struct npy *npy, struct failure *failure)
{
    bool comma = true;

    if (!take(literal, '{'))
        return malformed(failure, "it is not a dict");
    while (!take(literal, '}')) {
        if (!comma)
            return malformed(failure, "no comma between members");
        if (take_member(literal, npy, failure) != 0)
            return -1;
        comma = take(literal, ',');
    }
    skip_space(literal);
    if (literal->at != literal->end)
        return malformed(failure, "text after the dict");
    if (!npy->has_descr || !npy->has_order || !npy->has_shape)
        return malformed(failure, "descr, fortran_order or shape is missing");
    return 0;
}

static const struct element_type *type_of(const struct npy *npy,
                                          const struct read_options *options,
                                          struct failure *failure)
{
    static const struct {
        const char *descr;
        enum trit_dtype dtype;
    } types[] = {
        {"<f4", TRIT_F32}, {"<f2", TRIT_F16}, {"|i1", TRIT_I8}, {"|u1", TRIT_U8}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].descr, npy->descr) == 0)
            return element_type_of(types[i].dtype);
    if (strcmp(npy->descr, "|V2") == 0 || strcmp(npy->descr, "<V2") == 0) {
        if (options->void2_is_bf16)
            return element_type_of(TRIT_BF16);
        fail(failure, TRIT_INVALID_ARGUMENT, "descr",
             "descr '%s' does not name an element type; if it is bf16, use --npy-bf16",
             npy->descr);
        return NULL;
    }
    fail(failure, TRIT_INVALID_ARGUMENT, "descr",
         "descr '%s' is not one of '<f4', '<f2', '|i1', '|u1'%s", npy->descr,
         npy->descr[0] == '>'             ? ": it is big-endian"
         : strcmp(npy->descr, "|O") == 0  ? ": it holds Python objects"
         : strcmp(npy->descr, "<f8") == 0 ? ": it is float64; save it as float32"
                                          : "");
    return NULL;
}

/* A .npy file does not name its tensor. The tensor gets the file's name without its
 * suffix, or "tensor" if that is not a valid name. */
static int add_tensor(struct tensor_table *table, struct source *source,
                      const struct tensor_entry *entry, struct failure *failure)
{
    struct tensor_entry named = *entry;
    const char *name = source_name(source);
    size_t length = strlen(name);
    char *stem;
    int result;

    if (length > 4 && strcmp(name + length - 4, ".npy") == 0)
        length -= 4;
    stem = length > FILES_NAME_BYTES_MAX || !utf8_is_name(name) ? strdup("tensor")
                                                                : strndup(name, length);
    if (!stem)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    named.name = stem;
    result = table_add(table, &named, failure);
    free(stem);
    return result;
}

static int read_dict(struct source *source, const struct read_options *options,
                     uint64_t start, const char *text, uint64_t bytes,
                     struct tensor_table *table, struct failure *failure)
{
    struct literal literal = {.at = text, .end = text + bytes};
    struct npy npy = {.rank = 0};
    struct tensor_entry entry = {.offset = start + bytes};
    uint64_t data_bytes = source_bytes(source) - entry.offset;

    if (take_dict(&literal, &npy, failure) != 0)
        return -1;
    entry.type = type_of(&npy, options, failure);
    if (!entry.type)
        return -1;
    if (npy.fortran_order && npy.rank > 1)
        return fail(failure, TRIT_INVALID_ARGUMENT, "fortran_order",
                    "it is in Fortran order; save numpy.ascontiguousarray(x) instead");
    entry.rank = npy.rank;
    memcpy(entry.shape, npy.shape, sizeof(entry.shape));
    if (add_tensor(table, source, &entry, failure) != 0 ||
        table_seal(table, failure) != 0)
        return -1;
    if (options->may_be_cut && data_bytes < table->entries[0].bytes) {
        table->entries[0].offset = 0;
        return table_cut(table, data_bytes, failure);
    }
    if (table->entries[0].bytes != data_bytes)
        return fail(failure, TRIT_INVALID_ARGUMENT, "shape",
                    "its shape needs %" PRIu64 " bytes, but the file holds %" PRIu64,
                    table->entries[0].bytes, data_bytes);
    return 0;
}

/* Reads where the dict begins and how long it is. */
static int read_prefix(struct source *source, uint64_t *start, uint64_t *bytes,
                       struct failure *failure)
{
    uint8_t prefix[PREFIX_BYTES_MAX] = {0};
    uint64_t there = source_bytes(source);
    size_t length_bytes;

    if (source_read(source, 0, prefix, u64_min(there, sizeof(prefix)), failure) != 0)
        return -1;
    if (prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    ".npy version %u.%u is not 1.0, 2.0 or 3.0", prefix[6], prefix[7]);
    length_bytes = prefix[6] == 1 ? 2 : 4;
    *start = MAGIC_BYTES + 2 + length_bytes;
    *bytes = 0;
    for (size_t i = length_bytes; i-- > 0;)
        *bytes = *bytes << 8 | prefix[MAGIC_BYTES + 2 + i];
    if (*start > there || *bytes > there - *start)
        return malformed(failure, "it goes beyond the end of the file");
    if (*bytes > HEADER_BYTES_MAX_NPY)
        return malformed(failure, "it is longer than 65536 bytes");
    return 0;
}

static int read_npy(struct source *source, const struct read_options *options,
                    struct tensor_table *table, struct failure *failure)
{
    uint64_t start = 0, bytes = 0;
    char *text;
    int result;

    if (read_prefix(source, &start, &bytes, failure) != 0)
        return -1;
    text = malloc((size_t)bytes + 1);
    if (!text)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    result = source_read(source, start, text, bytes, failure);
    if (result == 0)
        result = read_dict(source, options, start, text, bytes, table, failure);
    free(text);
    return result;
}

static bool probe_npy(const uint8_t *head, size_t count)
{
    return count >= MAGIC_BYTES && memcmp(head, MAGIC, MAGIC_BYTES) == 0;
}

const struct reader_ops npy_reader = {"npy", probe_npy, read_npy};
