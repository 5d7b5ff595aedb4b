/* SPDX-License-Identifier: Apache-2.0 */
#include "put.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2, WIRE_FIXED32 = 5 };

enum { VARINT_BYTES_MAX = 10 };

/* False, and the put is full: there is no place for so many bytes. */
static bool has_place(struct put *put, size_t bytes)
{
    if ((size_t)(put->end - put->at) < bytes)
        put->full = true;
    return !put->full;
}

static size_t varint(uint8_t bytes[VARINT_BYTES_MAX], uint64_t value)
{
    size_t count = 0;

    for (; value >= 0x80; value >>= 7)
        bytes[count++] = (uint8_t)(value | 0x80);
    bytes[count++] = (uint8_t)value;
    return count;
}

static void put_raw(struct put *put, const void *bytes, size_t count)
{
    if (!has_place(put, count))
        return;
    memcpy(put->at, bytes, count);
    put->at += count;
}

static void put_varint(struct put *put, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];

    put_raw(put, bytes, varint(bytes, value));
}

static void put_tag(struct put *put, uint32_t number, uint32_t wire)
{
    put_varint(put, (uint64_t)number << 3 | wire);
}

void put_present_u64(struct put *put, uint32_t number, uint64_t value)
{
    put_tag(put, number, WIRE_VARINT);
    put_varint(put, value);
}

void put_u64(struct put *put, uint32_t number, uint64_t value)
{
    if (value != 0)
        put_present_u64(put, number, value);
}

/* Numbers are little-endian in memory, as on the wire (codec/report.c asserts sizes). */
void put_present_f64(struct put *put, uint32_t number, double value)
{
    put_tag(put, number, WIRE_FIXED64);
    put_raw(put, &value, sizeof(value));
}

void put_present_f32(struct put *put, uint32_t number, float value)
{
    put_tag(put, number, WIRE_FIXED32);
    put_raw(put, &value, sizeof(value));
}

/* -0 is not the default, so the bits count. */
void put_f64(struct put *put, uint32_t number, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    if (bits != 0)
        put_present_f64(put, number, value);
}

void put_blob_head(struct put *put, uint32_t number, uint64_t bytes)
{
    if (bytes == 0)
        return;
    put_tag(put, number, WIRE_LENGTH);
    put_varint(put, bytes);
}

void put_bytes(struct put *put, uint32_t number, const void *bytes, size_t count)
{
    if (count == 0)
        return;
    put_blob_head(put, number, count);
    put_raw(put, bytes, count);
}

void put_text(struct put *put, uint32_t number, const char *text, size_t bytes_max)
{
    put_bytes(put, number, text, strnlen(text, bytes_max));
}

void put_f32s(struct put *put, uint32_t number, const float *values, size_t count)
{
    put_bytes(put, number, values, count * sizeof(values[0]));
}

void put_u64s(struct put *put, uint32_t number, const uint64_t *values, size_t count)
{
    uint8_t *begin;

    if (count == 0)
        return;
    begin = put_message_begin(put, number);
    for (size_t i = 0; i < count; i++)
        put_varint(put, values[i]);
    put_message_end(put, begin);
}

uint8_t *put_message_begin(struct put *put, uint32_t number)
{
    put_tag(put, number, WIRE_LENGTH);
    return put->at;
}

/* The length's own length is known only now: moves the message behind it. */
void put_message_end(struct put *put, uint8_t *begin)
{
    const size_t count = (size_t)(put->at - begin);
    uint8_t head[VARINT_BYTES_MAX];
    const size_t head_bytes = varint(head, count);

    if (!has_place(put, head_bytes))
        return;
    memmove(begin + head_bytes, begin, count);
    memcpy(begin, head, head_bytes);
    put->at += head_bytes;
}
