/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the service Checkpoints, both ways. */
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "proto/codec/checkpoints.h"
#include "proto/utf8.h"
#include "put.h"
#include "wire.h"

static int refuse(char error[CODEC_ERROR_BYTES], const char *field, const char *why)
{
    snprintf(error, CODEC_ERROR_BYTES, "%s%s%s", field, *field ? ": " : "", why);
    return -1;
}

/* ---- decoding ------------------------------------------------------------------------ */

/* Copies the text of a field; NULL: it is refused. */
static const char *take_text(struct wire_checkpoint *out, const char *name,
                             const struct field *field, char error[CODEC_ERROR_BYTES])
{
    char *text = out->text + out->text_used;
    const size_t left = sizeof(out->text) - out->text_used;

    if (field->wire != FIELD_BYTES)
        refuse(error, name, "malformed");
    else if (field->value > CHECKPOINT_PATH_BYTES_MAX || field->value + 1 > left)
        refuse(error, name, "longer than 4095 bytes");
    else if (wire_text(name, field->bytes, (size_t)field->value,
                       CHECKPOINT_PATH_BYTES_MAX, text, error) == 0) {
        out->text_used += (size_t)field->value + 1;
        return text;
    }
    return NULL;
}

static int take_name(struct wire_checkpoint *out, struct wire_names *names,
                     const char *name, const struct field *field,
                     char error[CODEC_ERROR_BYTES])
{
    if (names->count == CHECKPOINT_PATTERNS_MAX)
        return refuse(error, name, "more than 64");
    names->list[names->count] = take_text(out, name, field, error);
    return names->list[names->count++] ? 0 : -1;
}

static int take_number(uint32_t *out, const char *name, const struct field *field,
                       char error[CODEC_ERROR_BYTES])
{
    if (field->wire != FIELD_VARINT || field->value > UINT32_MAX)
        return refuse(error, name, "malformed");
    *out = (uint32_t)field->value;
    return 0;
}

static int take_flag(bool *out, const char *name, const struct field *field,
                     char error[CODEC_ERROR_BYTES])
{
    if (field->wire != FIELD_VARINT)
        return refuse(error, name, "malformed");
    *out = field->value != 0;
    return 0;
}

static int take_option(struct wire_checkpoint *out, const struct field *field,
                       char error[CODEC_ERROR_BYTES])
{
    struct wire_checkpoint_options *options = &out->options;

    switch (field->number) {
    case 1:
        return take_name(out, &options->include, "options.include", field, error);
    case 2:
        return take_name(out, &options->exclude, "options.exclude", field, error);
    case 3:
        return take_name(out, &options->transposed, "options.transposed", field, error);
    case 4:
        return take_name(out, &options->rename, "options.rename", field, error);
    case 5:
        return take_name(out, &options->strip_prefix, "options.strip_prefix", field,
                         error);
    case 6:
        return take_flag(&options->convolutions, "options.convolutions", field, error);
    case 7:
        return take_number(&options->experts, "options.experts", field, error);
    case 8:
        options->has_encoding = true;
        return take_number(&options->encoding, "options.encoding", field, error);
    case 9:
        return take_number(&options->group_size, "options.group_size", field, error);
    case 10:
        options->has_partial_group = true;
        return take_number(&options->partial_group, "options.partial_group", field,
                           error);
    case 11:
        return take_number(&options->bits, "options.bits", field, error);
    case 12:
        return take_flag(&options->npy_bf16, "options.npy_bf16", field, error);
    case 13:
        return take_flag(&options->keep_names, "options.keep_names", field, error);
    default:
        return 0;
    }
}

static int take_options(struct wire_checkpoint *out, const struct field *field,
                        char error[CODEC_ERROR_BYTES])
{
    struct field_cursor cursor = {field->bytes, field->bytes + field->value};
    struct field inner;
    int found;

    if (field->wire != FIELD_BYTES)
        return refuse(error, "options", "malformed");
    while ((found = field_next(&cursor, &inner)) > 0)
        if (take_option(out, &inner, error) < 0)
            return -1;
    return found < 0 ? refuse(error, "options", "malformed") : 0;
}

static int take_tolerance(struct wire_checkpoint *out, const struct field *field,
                          char error[CODEC_ERROR_BYTES])
{
    if (field->wire != FIELD_FIXED32)
        return refuse(error, "tolerance", "malformed");
    out->has_tolerance = true;
    out->tolerance = field_f32(field);
    return 0;
}

static int take_target(struct wire_pack_target *target, const struct field *field,
                       char error[CODEC_ERROR_BYTES])
{
    switch (field->number) {
    case 14:
        return take_number(&target->encoding, "encoding", field, error);
    case 15:
        return take_number(&target->group_size, "group_size", field, error);
    case 16:
        return take_number(&target->dtype, "dtype", field, error);
    case 17:
        return take_flag(&target->allow_rounded, "allow_rounded_scales", field, error);
    case 18:
        return take_flag(&target->dry_run, "dry_run", field, error);
    default:
        return 0;
    }
}

/* The fields of requests that write, or plan to. */
static int take_output(struct wire_checkpoint *out, const struct field *field,
                       char error[CODEC_ERROR_BYTES])
{
    switch (field->number) {
    case 9:
        return (out->output = take_text(out, "output", field, error)) ? 0 : -1;
    case 10:
        return take_flag(&out->force, "force", field, error);
    case 11:
        return take_flag(&out->again, "again", field, error);
    case 12:
        return take_flag(&out->allow_lost, "allow_lost_scales", field, error);
    case 13:
        if (field->wire != FIELD_VARINT)
            return refuse(error, "shard_bytes", "malformed");
        out->shard_bytes = field->value;
        return 0;
    default:
        return take_target(&out->target, field, error);
    }
}

static int take_field(struct wire_checkpoint *out, const struct field *field,
                      char error[CODEC_ERROR_BYTES])
{
    switch (field->number) {
    case 1:
        return (out->path = take_text(out, "path", field, error)) ? 0 : -1;
    case 2:
        return take_options(out, field, error);
    case 3:
        return take_flag(&out->detach, "detach", field, error);
    case 4:
        return (out->against = take_text(out, "against", field, error)) ? 0 : -1;
    case 5:
        return take_number(&out->mode, "mode", field, error);
    case 6:
        return take_tolerance(out, field, error);
    case 7:
        return take_flag(&out->allow_dead, "allow_dead", field, error);
    case 8:
        return take_flag(&out->accept_record, "accept_record", field, error);
    case 19:
        return take_number(&out->report, "report", field, error);
    default:
        return take_output(out, field, error);
    }
}

int decode_checkpoint(const struct scan_part *root, uint32_t fields,
                      struct wire_checkpoint *out, char error[CODEC_ERROR_BYTES])
{
    struct field_cursor cursor = {root->bytes, root->bytes + root->count};
    struct field field;
    int found;

    memset(out, 0, sizeof(*out));
    out->path = out->against = out->output = "";
    while ((found = field_next(&cursor, &field)) > 0)
        if (field.number < 32 && (fields >> field.number & 1) &&
            take_field(out, &field, error) < 0)
            return -1;
    return found < 0 ? refuse(error, "", "malformed") : 0;
}

int decode_job_id(const struct scan_part *root, char job[JOB_ID_BYTES_MAX + 1],
                  char error[CODEC_ERROR_BYTES])
{
    struct field_cursor cursor = {root->bytes, root->bytes + root->count};
    char text[JOB_ID_BYTES_MAX + 1] = "";
    struct field field;
    int found;

    while ((found = field_next(&cursor, &field)) > 0) {
        if (field.number != 1)
            continue;
        if (field.wire != FIELD_BYTES)
            return refuse(error, "job", "malformed");
        if (wire_text("job", field.bytes, (size_t)field.value, JOB_ID_BYTES_MAX, text,
                      error) < 0)
            return -1;
    }
    if (found < 0)
        return refuse(error, "", "malformed");
    memcpy(job, text, sizeof(text));
    return 0;
}

/* ---- encoding ------------------------------------------------------------------------ */

static void put_names(struct put *put, uint32_t number, const struct wire_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        put_bytes(put, number, names->list[i], strlen(names->list[i]));
}

static void put_options(struct put *put, const struct wire_checkpoint_options *options)
{
    uint8_t *begin = put_message_begin(put, 2);

    put_names(put, 1, &options->include);
    put_names(put, 2, &options->exclude);
    put_names(put, 3, &options->transposed);
    put_names(put, 4, &options->rename);
    put_names(put, 5, &options->strip_prefix);
    put_u64(put, 6, options->convolutions);
    put_u64(put, 7, options->experts);
    if (options->has_encoding)
        put_present_u64(put, 8, options->encoding);
    put_u64(put, 9, options->group_size);
    if (options->has_partial_group)
        put_present_u64(put, 10, options->partial_group);
    put_u64(put, 11, options->bits);
    put_u64(put, 12, options->npy_bf16);
    put_u64(put, 13, options->keep_names);
    put_message_end(put, begin);
}

static void put_target(struct put *put, const struct wire_pack_target *target)
{
    put_u64(put, 14, target->encoding);
    put_u64(put, 15, target->group_size);
    put_u64(put, 16, target->dtype);
    put_u64(put, 17, target->allow_rounded);
    put_u64(put, 18, target->dry_run);
}

size_t encode_checkpoint(const struct wire_checkpoint *request, uint32_t fields,
                         uint8_t *out, size_t capacity)
{
    struct put put = {.at = out, .end = out + capacity};

    put_text(&put, 1, request->path, CHECKPOINT_PATH_BYTES_MAX);
    put_options(&put, &request->options);
    put_u64(&put, 3, request->detach);
    if (fields >> 4 & 1)
        put_text(&put, 4, request->against, CHECKPOINT_PATH_BYTES_MAX);
    if (fields >> 5 & 1)
        put_u64(&put, 5, request->mode);
    if ((fields >> 6 & 1) && request->has_tolerance)
        put_present_f32(&put, 6, request->tolerance);
    if (fields >> 7 & 1)
        put_u64(&put, 7, request->allow_dead);
    if (fields >> 8 & 1)
        put_u64(&put, 8, request->accept_record);
    if (fields >> 9 & 1)
        put_text(&put, 9, request->output, CHECKPOINT_PATH_BYTES_MAX);
    if (fields >> 10 & 1)
        put_u64(&put, 10, request->force);
    if (fields >> 11 & 1)
        put_u64(&put, 11, request->again);
    if (fields >> 12 & 1)
        put_u64(&put, 12, request->allow_lost);
    if (fields >> 13 & 1)
        put_u64(&put, 13, request->shard_bytes);
    if (fields >> 14 & 1)
        put_target(&put, &request->target);
    if (fields >> 19 & 1)
        put_u64(&put, 19, request->report);
    return put.full ? 0 : (size_t)(put.at - out);
}

size_t encode_job_id(const char *job, uint8_t *out, size_t capacity)
{
    struct put put = {.at = out, .end = out + capacity};

    put_text(&put, 1, job, JOB_ID_BYTES_MAX);
    return put.full ? 0 : (size_t)(put.at - out);
}
