/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A field is a tag, then by its wire type a varint, 4 or 8 bytes, or a length
 * and as many bytes:
 *
 *   TAG ──> VARINT ─────────────────────────────> TAG
 *    ├────────────────> COPY (small, to the part) > TAG
 *    └──> LENGTH ──┬──> COPY
 *                  ├──> BLOB ──> BLOB_BYTES ──────> TAG
 *                  └──> TAG of the inner message
 *
 * A level's `left` is charged with a value's whole length when the length is
 * known, and with a varint's bytes one by one; so an inner message can never
 * reach past the outer one, and a level whose `left` is 0 in TAG has ended.
 * What cannot become a whole message is refused at the byte that shows it. */
enum scan_state {
    STATE_TAG,
    STATE_VARINT,
    STATE_LENGTH,
    STATE_COPY,
    STATE_BLOB,
    STATE_BLOB_BYTES,
    STATE_FAILED,
};

enum {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_LEN = 2,
    WIRE_FIXED32 = 5,
    TAG_BYTES_MAX = 5,
    VARINT_BYTES_MAX = 10,
    PART_BYTES_FIRST = 128,
};

/* A step returns an enum scan_event, or GO_ON when it found nothing yet. */
enum { GO_ON = -1 };

void scan_init(struct scan *scan, const struct scan_field *root, uint64_t message_bytes)
{
    memset(scan, 0, offsetof(struct scan, first));
    scan->levels[0] = (struct scan_level){.fields = root, .left = message_bytes};
    scan->parts[0].seen = 1;
    scan->unsized = message_bytes == SCAN_UNSIZED;
}

static bool on_heap(const struct scan_part *part)
{
    return part->capacity > SCAN_FIRST_BYTES;
}

void scan_fini(struct scan *scan)
{
    for (size_t i = 0; i < SCAN_PARTS_MAX; i++) {
        if (on_heap(&scan->parts[i]))
            free(scan->parts[i].bytes);
        scan->parts[i] = (struct scan_part){0};
    }
    scan->first_used = 0;
}

size_t scan_held(const struct scan *scan)
{
    size_t held = 0;

    for (size_t i = 0; i < SCAN_PARTS_MAX; i++)
        held += on_heap(&scan->parts[i]) ? scan->parts[i].capacity : 0;
    return held;
}

static int fail(struct scan *scan, const char *error)
{
    scan->state = STATE_FAILED;
    scan->error = error;
    scan->status = TRIT_INVALID_ARGUMENT;
    return SCAN_ERROR;
}

static int exhausted(struct scan *scan, const char *error)
{
    fail(scan, error);
    scan->status = TRIT_RESOURCE_EXHAUSTED;
    return SCAN_ERROR;
}

/* Makes room for `count` bytes more. False: no memory. */
static bool part_grow(struct scan *scan, struct scan_part *part, size_t count)
{
    if (!part->bytes && count <= SCAN_FIRST_BYTES &&
        scan->first_used < SCAN_FIRST_PARTS) {
        part->bytes = scan->first[scan->first_used++];
        part->capacity = SCAN_FIRST_BYTES;
        return true;
    }
    size_t capacity = on_heap(part) ? part->capacity : PART_BYTES_FIRST;
    while (capacity - part->count < count)
        capacity *= 2;
    uint8_t *grown = realloc(on_heap(part) ? part->bytes : NULL, capacity);
    if (!grown)
        return false;
    if (!on_heap(part) && part->count > 0)
        memcpy(grown, part->bytes, part->count);
    part->bytes = grown;
    part->capacity = capacity;
    return true;
}

static int part_append(struct scan *scan, const uint8_t *bytes, size_t count)
{
    struct scan_part *part = &scan->parts[scan->levels[scan->depth].part];
    if (count > SCAN_PART_BYTES_MAX - part->count)
        return exhausted(scan, "a message's small fields exceed 16384 bytes");
    if (part->capacity - part->count < count && !part_grow(scan, part, count))
        return exhausted(scan, "out of memory");
    if (count == 1) /* most tags and varints */
        part->bytes[part->count] = *bytes;
    else
        memcpy(part->bytes + part->count, bytes, count);
    part->count += count;
    return GO_ON;
}

/* Collects the bytes of a varint in scan->varint. GO_ON: it is complete. */
static int take_varint(struct scan *scan, const uint8_t **bytes, size_t *count)
{
    struct scan_level *level = &scan->levels[scan->depth];
    while (*count > 0) {
        uint8_t byte = *(*bytes)++;
        --*count;
        level->left--;
        scan->varint[scan->varint_len++] = byte;
        if (scan->varint_len == VARINT_BYTES_MAX && byte > 1)
            return fail(scan, "a varint exceeds 64 bits");
        if (byte < 0x80)
            return GO_ON;
        if (level->left == 0)
            return fail(scan, "the message ends inside a field");
    }
    return SCAN_MORE;
}

static uint64_t varint_value(const struct scan *scan)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < scan->varint_len; i++)
        value |= (uint64_t)(scan->varint[i] & 0x7f) << (7 * i);
    return value;
}

/* The table's entry for the open field. NULL: it is a small field. */
static const struct scan_field *field_entry(const struct scan *scan)
{
    for (const struct scan_field *f = scan->levels[scan->depth].fields; f->number; f++)
        if (f->number == scan->tag >> 3)
            return f;
    return NULL;
}

static int copy_begin(struct scan *scan, uint64_t length)
{
    struct scan_level *level = &scan->levels[scan->depth];
    if (length > level->left)
        return fail(scan, "a field reaches past the end of its message");
    if (length > SCAN_PART_BYTES_MAX - scan->parts[level->part].count)
        return exhausted(scan, "a message's small fields exceed 16384 bytes");
    level->left -= length;
    scan->value_left = length;
    scan->state = STATE_COPY;
    return GO_ON;
}

static int descend(struct scan *scan, const struct scan_field *field, uint64_t length)
{
    if (scan->depth + 1 == SCAN_DEPTH_MAX)
        return fail(scan, "messages are nested too deep");
    scan->depth++;
    scan->levels[scan->depth] =
        (struct scan_level){.fields = field->sub, .left = length, .part = field->id};
    scan->parts[field->id].seen++;
    scan->state = STATE_TAG;
    return GO_ON;
}

/* A message or a blob of the table begins; its tag and length are taken. */
static int table_field_begin(struct scan *scan, const struct scan_field *field,
                             uint64_t length)
{
    struct scan_level *level = &scan->levels[scan->depth];
    if (length > level->left)
        return fail(scan, "a field reaches past the end of its message");
    level->left -= length;
    if (field->sub)
        return descend(scan, field, length);
    scan->blob = field->id;
    scan->value_left = length;
    scan->state = STATE_BLOB;
    return GO_ON;
}

/* Most fields arrive whole, with a tag of one byte and a varint of one or two: takes such a
 * field at once, of the table only its tag and length. SCAN_MORE: it is not such a field, and
 * nothing is taken. */
static int take_short(struct scan *scan, const uint8_t **bytes, size_t *count)
{
    struct scan_level *level = &scan->levels[scan->depth];
    const uint8_t *at = *bytes;
    const uint64_t most = *count < level->left ? *count : level->left;
    const struct scan_field *field = NULL;
    if (most < 2 || at[0] >= 0x80 || at[0] >> 3 == 0)
        return SCAN_MORE;
    size_t taken = 2, length = at[1];
    if (length >= 0x80) {
        if (most < 3 || at[2] >= 0x80)
            return SCAN_MORE;
        taken = 3;
        length = (length & 0x7f) | (size_t)at[2] << 7;
    }
    scan->tag = at[0];
    if ((at[0] & 7) == WIRE_LEN)
        field = field_entry(scan);
    else if ((at[0] & 7) != WIRE_VARINT)
        return SCAN_MORE;
    if ((at[0] & 7) == WIRE_LEN && !field)
        taken += length;
    if (taken > most)
        return SCAN_MORE;
    *bytes += taken;
    *count -= taken;
    level->left -= taken;
    return field ? table_field_begin(scan, field, length) : part_append(scan, at, taken);
}

static int take_tag(struct scan *scan, const uint8_t **bytes, size_t *count)
{
    while (scan->depth > 0 && scan->levels[scan->depth].left == 0)
        scan->depth--;
    if (*count == 0)
        return SCAN_MORE;
    if (scan->levels[scan->depth].left == 0)
        return fail(scan, "bytes after the end of the message");
    int taken = scan->varint_len == 0 ? take_short(scan, bytes, count) : SCAN_MORE;
    if (taken != SCAN_MORE)
        return taken;
    taken = take_varint(scan, bytes, count);
    if (taken != GO_ON)
        return taken;

    uint32_t tag_bytes = scan->varint_len;
    scan->tag = varint_value(scan);
    scan->varint_len = 0;
    if (tag_bytes > TAG_BYTES_MAX || scan->tag > UINT32_MAX || scan->tag >> 3 == 0)
        return fail(scan, "a field number is out of range");
    if (scan->levels[scan->depth].left == 0)
        return fail(scan, "the message ends inside a field");
    uint32_t wire = scan->tag & 7;
    if (wire != WIRE_LEN || !field_entry(scan))
        if (part_append(scan, scan->varint, tag_bytes) != GO_ON)
            return SCAN_ERROR;
    switch (wire) {
    case WIRE_VARINT:
        scan->state = STATE_VARINT;
        return GO_ON;
    case WIRE_LEN:
        scan->state = STATE_LENGTH;
        return GO_ON;
    case WIRE_FIXED64:
        return copy_begin(scan, 8);
    case WIRE_FIXED32:
        return copy_begin(scan, 4);
    default:
        return fail(scan, "a group, or an unknown wire type");
    }
}

static int take_value(struct scan *scan, const uint8_t **bytes, size_t *count)
{
    int taken = take_varint(scan, bytes, count);
    if (taken != GO_ON)
        return taken;
    uint32_t varint_bytes = scan->varint_len;
    scan->varint_len = 0;
    scan->state = STATE_TAG;
    return part_append(scan, scan->varint, varint_bytes);
}

static int take_length(struct scan *scan, const uint8_t **bytes, size_t *count)
{
    int taken = take_varint(scan, bytes, count);
    if (taken != GO_ON)
        return taken;
    uint64_t length = varint_value(scan);
    uint32_t length_bytes = scan->varint_len;
    scan->varint_len = 0;
    const struct scan_field *field = field_entry(scan);
    if (!field) {
        if (part_append(scan, scan->varint, length_bytes) != GO_ON)
            return SCAN_ERROR;
        return copy_begin(scan, length);
    }
    return table_field_begin(scan, field, length);
}

static size_t value_take(struct scan *scan, const uint8_t **bytes, size_t *count)
{
    size_t taken = *count < scan->value_left ? *count : (size_t)scan->value_left;
    scan->value_left -= taken;
    *bytes += taken;
    *count -= taken;
    return taken;
}

static int take_copy(struct scan *scan, const uint8_t **bytes, size_t *count)
{
    const uint8_t *from = *bytes;
    size_t taken = value_take(scan, bytes, count);
    if (taken > 0 && part_append(scan, from, taken) != GO_ON)
        return SCAN_ERROR;
    if (scan->value_left > 0)
        return SCAN_MORE;
    scan->state = STATE_TAG;
    return GO_ON;
}

static int take_blob(struct scan *scan, const uint8_t **bytes, size_t *count,
                     struct scanned *out)
{
    out->blob = scan->blob;
    if (scan->value_left == 0) {
        scan->state = STATE_TAG;
        return SCAN_BLOB_END;
    }
    if (*count == 0)
        return SCAN_MORE;
    out->bytes = *bytes;
    out->count = value_take(scan, bytes, count);
    return SCAN_BLOB_BYTES;
}

static int step(struct scan *scan, const uint8_t **bytes, size_t *count,
                struct scanned *out)
{
    switch ((enum scan_state)scan->state) {
    case STATE_TAG:
        return take_tag(scan, bytes, count);
    case STATE_VARINT:
        return take_value(scan, bytes, count);
    case STATE_LENGTH:
        return take_length(scan, bytes, count);
    case STATE_COPY:
        return take_copy(scan, bytes, count);
    case STATE_BLOB:
        out->blob = scan->blob;
        out->length = scan->value_left;
        scan->state = STATE_BLOB_BYTES;
        return SCAN_BLOB;
    case STATE_BLOB_BYTES:
        return take_blob(scan, bytes, count, out);
    case STATE_FAILED:
        break;
    }
    return SCAN_ERROR;
}

enum scan_event scan(struct scan *scan, const uint8_t **bytes, size_t *count,
                     struct scanned *out)
{
    int event;
    do
        event = step(scan, bytes, count, out);
    while (event == GO_ON);
    return (enum scan_event)event;
}

bool scan_complete(const struct scan *scan)
{
    if (scan->state != STATE_TAG || scan->varint_len != 0)
        return false;
    for (uint32_t i = scan->unsized ? 1 : 0; i <= scan->depth; i++)
        if (scan->levels[i].left != 0)
            return false;
    return true;
}
