/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF, read: magic, version, counts, values by key, one entry for each tensor, padding,
 * data. The rules are those of the reference reader (ggml's docs/gguf.md and src/gguf.cpp):
 * what it refuses is refused here. In addition names of tensors must be printable UTF-8,
 * and the file must hold all of its data, as llama.cpp's loader demands.
 *
 * The shape of an entry is that of torch: GGUF's axes in reverse. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/number.h"
#include "files/formats.h"
#include "files/gguf_cursor.h"
#include "files/gguf_values.h"

enum {
    VERSION_MIN = 2, /* version 1 has counts of 32 bits and was never used much */
    VERSION_MAX = 3,
    AXES_MAX = 4,
    NAME_BYTES_MAX = 63,
    ALIGNMENT_DEFAULT = 32,
    Q2_0 = 42,
    TL1 = 38, /* of BitNet's fork of ggml, whose TL2 is 39 */
    MXFP4 = 39,
};

static const char MAGIC[4] = {'G', 'G', 'U', 'F'};

struct gguf {
    struct gguf_cursor cursor;
    struct tensor_table *table;
    struct failure *failure;
    uint32_t alignment;
    bool has_q2_0; /* a tensor of type 42, whose blocks have 64 or 128 values */
};

static int malformed(struct gguf *gguf, const char *what)
{
    return fail(gguf->failure, TRIT_INVALID_ARGUMENT, NULL, "GGUF header: %s", what);
}

/* ---- tensors ---------------------------------------------------------------------- */

static int take_shape(struct gguf *gguf, struct tensor_entry *entry)
{
    uint64_t size;

    if (gguf_take_u32(&gguf->cursor, &entry->rank, "a tensor", gguf->failure) < 0)
        return -1;
    if (entry->rank > AXES_MAX)
        return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: %" PRIu32 " axes, at most %d are allowed", entry->name,
                    entry->rank, AXES_MAX);
    for (uint32_t i = entry->rank; i-- > 0;) {
        if (gguf_take_u64(&gguf->cursor, &size, "a tensor", gguf->failure) < 0)
            return -1;
        if (size > INT64_MAX)
            return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "shape",
                        "tensor %s: a size is negative", entry->name);
        entry->shape[i] = size;
    }
    return 0;
}

/* Makes the last axis of a type with blocks count bytes. */
static int count_blocks(struct gguf *gguf, struct tensor_entry *entry)
{
    const uint32_t values = entry->type->block_values;
    uint64_t *last = &entry->shape[entry->rank ? entry->rank - 1 : 0];

    if (!element_type_is_block(entry->type))
        return 0;
    if (entry->rank == 0 || *last % values != 0)
        return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: its rows are not a multiple of %" PRIu32
                    " values, the block of %s",
                    entry->name, values, entry->type->name);
    if (mul_overflows(*last / values, entry->type->block_bytes, last))
        return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: the product of its shape overflows", entry->name);
    return 0;
}

/* The order of weights in BitNet's TL1 and TL2 follows from sizes of blocks that the
 * converter takes from kernel_config.ini and that no file holds. */
static int fail_bitnet(struct gguf *gguf, const char *name, const char *type)
{
    return fail(
        gguf->failure, TRIT_INVALID_ARGUMENT, "type",
        "tensor %s: type %s of bitnet.cpp is not read: its order of weights is that "
        "of the kernels it was made for; convert the model with setup_env.py -q "
        "i2_s, or verify the model that was converted",
        name, type);
}

/* A tensor begins elsewhere than at the end of `previous`. Is that of type TL2, whose number
 * ggml gave to MXFP4? BitNet's converter writes NAME_scale behind each NAME. */
static bool is_tl2(const struct tensor_entry *previous, const struct tensor_entry *entry)
{
    const size_t length = strlen(previous->name);

    return element_type_gguf(previous->type) == MXFP4 &&
           strncmp(entry->name, previous->name, length) == 0 &&
           strcmp(entry->name + length, "_scale") == 0;
}

static int take_entry(struct gguf *gguf, struct tensor_entry *entry, bool legacy)
{
    uint64_t elements;
    uint32_t type;

    if (take_shape(gguf, entry) < 0 ||
        gguf_take_u32(&gguf->cursor, &type, "a tensor", gguf->failure) < 0 ||
        gguf_take_u64(&gguf->cursor, &entry->offset, "a tensor", gguf->failure) < 0)
        return -1;
    if (!shape_elements(entry->rank, entry->shape, &elements) || elements >= INT64_MAX)
        return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "shape",
                    "tensor %s: the product of its shape overflows", entry->name);
    gguf->has_q2_0 |= type == Q2_0;
    if (type == TL1)
        return fail_bitnet(gguf, entry->name, "TL1");
    entry->type = element_type_of_gguf(type, legacy);
    if (!entry->type)
        return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "type",
                    "tensor %s: type %" PRIu32 " is not known", entry->name, type);
    return count_blocks(gguf, entry) < 0 ? -1
                                         : table_add(gguf->table, entry, gguf->failure);
}

static int take_tensor(struct gguf *gguf, bool legacy)
{
    struct tensor_entry entry = {.rank = 0};
    size_t length;
    char *name;
    int result;

    if (gguf_take_string(&gguf->cursor, NAME_BYTES_MAX, &name, &length, "a tensor's name",
                         gguf->failure) < 0)
        return -1;
    entry.name = name;
    if (strlen(name) != length)
        result = malformed(gguf, "a tensor's name holds a zero byte");
    else
        result = take_entry(gguf, &entry, legacy);
    free(name);
    return result;
}

/* ---- data ------------------------------------------------------------------------- */

/* Offsets must be the running sum of the padded sizes. The entries are in the file's
 * order. *end: where the last tensor ends. */
static int check_offsets(struct gguf *gguf, uint64_t *end)
{
    uint64_t next = 0;

    *end = 0;
    for (size_t i = 0; i < gguf->table->count; i++) {
        const struct tensor_entry *entry = &gguf->table->entries[i];

        if (entry->offset != next && i > 0 && is_tl2(entry - 1, entry))
            return fail_bitnet(gguf, entry[-1].name, "TL2");
        if (entry->offset != next)
            return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "offset",
                        "tensor %s begins at byte %" PRIu64
                        " of the data, by the sizes before it it begins at %" PRIu64,
                        entry->name, entry->offset, next);
        if (add_overflows(next, entry->bytes, end))
            return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "offset",
                        "tensor %s: its end overflows 64 bits", entry->name);
        next = align_up(*end, gguf->alignment);
    }
    return 0;
}

static int check_data(struct gguf *gguf, uint64_t end, bool may_be_cut)
{
    const uint64_t start = align_up(gguf->cursor.at, gguf->alignment);
    const uint64_t there = source_bytes(gguf->cursor.source);
    const uint64_t bytes = there > start ? there - start : 0;
    struct tensor_table *table = gguf->table;

    if (table_seal(table, gguf->failure) < 0)
        return -1;
    if (end > bytes && !may_be_cut)
        return fail(gguf->failure, TRIT_INVALID_ARGUMENT, "offset",
                    "tensor %s goes beyond the end of the file: the file is truncated, "
                    "%" PRIu64 " bytes are missing",
                    table->entries[table->count - 1].name, end - bytes);
    if (end > bytes && table_cut(table, bytes, gguf->failure) < 0)
        return -1;
    for (size_t i = 0; i < table->count; i++)
        table->entries[i].offset += start;
    return 0;
}

/* ---- the whole -------------------------------------------------------------------- */

static int take_version(struct gguf *gguf)
{
    char magic[sizeof(MAGIC)];
    uint32_t version;

    if (gguf_take(&gguf->cursor, magic, sizeof(magic), "the magic", gguf->failure) < 0 ||
        gguf_take_u32(&gguf->cursor, &version, "the version", gguf->failure) < 0)
        return -1;
    if ((version & 0xffff) == 0 && version != 0)
        return malformed(gguf,
                         "it is big-endian, which is not read; gguf-convert-endian of "
                         "the Python package gguf converts it");
    if (version < VERSION_MIN || version > VERSION_MAX)
        return fail(gguf->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "GGUF version %" PRIu32
                    " is not %d or %d; convert the model to GGUF again, or install a "
                    "newer tritd",
                    version, VERSION_MIN, VERSION_MAX);
    return 0;
}

static int take_header(struct gguf *gguf, bool legacy)
{
    uint64_t tensors, values;

    if (take_version(gguf) < 0 ||
        gguf_take_u64(&gguf->cursor, &tensors, "the number of tensors", gguf->failure) <
            0 ||
        gguf_take_u64(&gguf->cursor, &values, "the number of values", gguf->failure) < 0)
        return -1;
    if (tensors > FILES_TENSORS_MAX)
        return malformed(gguf, "more than 1048576 tensors");
    if (values > FILES_PAIRS_MAX)
        return malformed(gguf, "more than 65536 values");
    if (gguf_take_values(&gguf->cursor, values, gguf->table, &gguf->alignment,
                         gguf->failure) < 0)
        return -1;
    for (uint64_t i = 0; i < tensors; i++)
        if (take_tensor(gguf, legacy) < 0)
            return -1;
    return 0;
}

/* One reading of the header. *end: where the data end, or UINT64_MAX if the offsets are
 * not those of the sizes. */
static int read_once(struct gguf *gguf, const struct read_options *options, bool legacy,
                     uint64_t *end)
{
    gguf_cursor_init(&gguf->cursor, gguf->cursor.source, options->header_bytes_max);
    gguf->alignment = ALIGNMENT_DEFAULT;
    *end = UINT64_MAX;
    if (take_header(gguf, legacy) < 0)
        return -1;
    return check_offsets(gguf, end);
}

/* Do the data of the last reading end where the file ends, with or without padding? */
static bool ends_with_file(const struct gguf *gguf, uint64_t end)
{
    const uint64_t start = align_up(gguf->cursor.at, gguf->alignment);
    const uint64_t there = source_bytes(gguf->cursor.source);

    return there >= start &&
           (there - start == end || there - start == align_up(end, gguf->alignment));
}

/* Reads the header, with the failure in *failure. */
static int read_into(struct gguf *gguf, const struct read_options *options, bool legacy,
                     uint64_t *end, struct failure *failure)
{
    struct failure *own = gguf->failure;

    table_fini(gguf->table);
    *failure = (struct failure){.status = TRIT_OK};
    gguf->failure = failure;
    const int result = read_once(gguf, options, legacy, end);
    gguf->failure = own;
    return result;
}

/* Type 42 has blocks of 64 values, or of 128 where old PrismML builds wrote it. It is read
 * with 128 if the offsets or the end of the file do not fit 64, and all of them fit 128. */
static int read_table(struct gguf *gguf, const struct read_options *options)
{
    struct failure first, second;
    uint64_t end;

    int result = read_into(gguf, options, false, &end, &first);
    if (result < 0 && (!gguf->has_q2_0 || first.status != TRIT_INVALID_ARGUMENT))
        return fail_as(gguf->failure, &first);
    if (gguf->has_q2_0 && (result < 0 || !ends_with_file(gguf, end))) {
        const int legacy = read_into(gguf, options, true, &end, &second);

        if (legacy < 0 && second.status != TRIT_INVALID_ARGUMENT)
            return fail_as(gguf->failure, &second);
        if (legacy == 0 && ends_with_file(gguf, end))
            return check_data(gguf, end, options->may_be_cut);
        if (result < 0)
            return fail_as(gguf->failure, &first);
        if (read_into(gguf, options, false, &end, &first) < 0)
            return fail_as(gguf->failure, &first);
    }
    return check_data(gguf, end, options->may_be_cut);
}

static int read_gguf(struct source *source, const struct read_options *options,
                     struct tensor_table *table, struct failure *failure)
{
    struct gguf *gguf = calloc(1, sizeof(*gguf));

    if (!gguf)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory for a header");
    gguf->cursor.source = source;
    gguf->table = table;
    gguf->failure = failure;
    const int result = read_table(gguf, options);
    free(gguf);
    return result;
}

static bool probe_gguf(const uint8_t *head, size_t count)
{
    return count >= sizeof(MAGIC) && memcmp(head, MAGIC, sizeof(MAGIC)) == 0;
}

const struct reader_ops gguf_reader = {"gguf", probe_gguf, read_gguf};
