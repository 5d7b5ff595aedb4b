/* SPDX-License-Identifier: Apache-2.0 */
#include "plain.h"

#include "trit/v1/tensor.pb.h"
#include "trit/v1/ternary.pb.h"

enum { WIRE_VARINT = 0, WIRE_LEN = 2 };

struct reader {
    const uint8_t *at, *end;
};

/* At most 9 bytes: a longer one may exceed 64 bits. */
static bool varint(struct reader *reader, uint64_t *value)
{
    uint64_t sum = 0;

    for (unsigned shift = 0; shift < 63 && reader->at < reader->end; shift += 7) {
        const uint8_t byte = *reader->at++;

        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return true;
        }
    }
    return false;
}

/* A number that every type of the fields below holds, but bool. */
static bool number(struct reader *reader, uint32_t *value)
{
    uint64_t wide;

    if (!varint(reader, &wide) || wide > INT32_MAX)
        return false;
    *value = (uint32_t)wide;
    return true;
}

static bool inner(struct reader *reader, struct reader *out)
{
    uint32_t length;

    if (!number(reader, &length) || length > (size_t)(reader->end - reader->at))
        return false;
    *out = (struct reader){reader->at, reader->at + length};
    reader->at += length;
    return true;
}

static struct reader reader_of(const struct scan_part *part)
{
    return (struct reader){part->bytes,
                           part->count ? part->bytes + part->count : part->bytes};
}

static bool key(struct reader *reader, uint32_t *field, uint32_t *wire)
{
    uint32_t tag;

    if (!number(reader, &tag))
        return false;
    *field = tag >> 3;
    *wire = tag & 7;
    return true;
}

/* ---- ProjectRequest ---------------------------------------------------------------- */

struct plain_options {
    uint32_t group_size, partial_group, encoding, report, lost, durability;
};

static uint32_t *option(struct plain_options *options, uint32_t field)
{
    switch (field) {
    case trit_v1_ProjectOptions_group_size_tag:
        return &options->group_size;
    case trit_v1_ProjectOptions_partial_group_tag:
        return &options->partial_group;
    case trit_v1_ProjectOptions_encoding_tag:
        return &options->encoding;
    case trit_v1_ProjectOptions_report_tag:
        return &options->report;
    case trit_v1_ProjectOptions_allow_lost_scales_tag:
        return &options->lost;
    case trit_v1_ProjectOptions_durability_tag:
        return &options->durability;
    default:
        return NULL;
    }
}

static bool read_options(struct reader reader, struct plain_options *options)
{
    while (reader.at < reader.end) {
        uint32_t field, wire, *value;

        if (!key(&reader, &field, &wire) || wire != WIRE_VARINT)
            return false;
        value = option(options, field);
        if (!value || !number(&reader, value))
            return false;
    }
    return true;
}

bool plain_project(const struct scan_part *part, struct wire_project *out)
{
    struct reader reader = reader_of(part), message;
    struct plain_options options = {0};
    uint32_t field, wire;

    while (reader.at < reader.end)
        if (!key(&reader, &field, &wire) || wire != WIRE_LEN ||
            field != trit_v1_ProjectRequest_options_tag || !inner(&reader, &message) ||
            !read_options(message, &options))
            return false;
    *out = (struct wire_project){
        .group_size = options.group_size,
        .partial_group = options.partial_group,
        .encoding = options.encoding,
        .report = options.report,
        .durability = options.durability,
        .allow_lost_scales = options.lost != 0,
    };
    return true;
}

/* ---- Tensor ------------------------------------------------------------------------ */

static bool read_size(struct reader *reader, struct wire_tensor *tensor)
{
    return tensor->rank < TRIT_RANK_MAX && varint(reader, &tensor->shape[tensor->rank++]);
}

static bool read_shape(struct reader *reader, uint32_t wire, struct wire_tensor *tensor)
{
    struct reader packed;

    if (wire == WIRE_VARINT)
        return read_size(reader, tensor);
    if (wire != WIRE_LEN || !inner(reader, &packed))
        return false;
    while (packed.at < packed.end)
        if (!read_size(&packed, tensor))
            return false;
    return true;
}

bool plain_tensor(const struct scan_part *part, struct wire_tensor *out)
{
    struct reader reader = reader_of(part);
    struct wire_tensor tensor = {0};
    uint32_t field, wire;

    while (reader.at < reader.end) {
        bool read = key(&reader, &field, &wire);

        if (read && field == trit_v1_Tensor_shape_tag)
            read = read_shape(&reader, wire, &tensor);
        else if (read)
            read = field == trit_v1_Tensor_dtype_tag && wire == WIRE_VARINT &&
                   number(&reader, &tensor.dtype);
        if (!read)
            return false;
    }
    *out = tensor;
    return true;
}
