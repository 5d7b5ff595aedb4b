/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file_io.h"
#include "kernels/kernels.h"

/* Length, kind, CRC-32C of both and of the bytes. */
enum { KIND_AT = 4, CRC_AT = 8 };

static void put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

void journal_put_u64(uint8_t out[8], uint64_t value)
{
    put_u32(out, (uint32_t)value);
    put_u32(out + 4, (uint32_t)(value >> 32));
}

uint64_t journal_get_u64(const uint8_t bytes[8])
{
    return get_u32(bytes) | (uint64_t)get_u32(bytes + 4) << 32;
}

static uint32_t crc_of(const uint8_t *head, const void *bytes, size_t count)
{
    return crc32c(crc32c(0, head, CRC_AT), bytes, count);
}

/* ---- writing ---------------------------------------------------------------------------- */

int journal_add(struct journal *journal, uint32_t kind, const void *first,
                size_t first_bytes, const void *second, size_t second_bytes)
{
    const size_t bytes = first_bytes + second_bytes;
    uint8_t *grown, *head;

    if (bytes > JOURNAL_RECORD_BYTES_MAX)
        return -1;
    grown = array_grow(journal->bytes, &journal->capacity,
                       journal->count + JOURNAL_HEAD_BYTES + bytes, sizeof(*grown));
    if (!grown)
        return -1;
    journal->bytes = grown;
    head = grown + journal->count;
    put_u32(head, (uint32_t)bytes);
    put_u32(head + KIND_AT, kind);
    if (first_bytes)
        memcpy(head + JOURNAL_HEAD_BYTES, first, first_bytes);
    if (second_bytes)
        memcpy(head + JOURNAL_HEAD_BYTES + first_bytes, second, second_bytes);
    put_u32(head + CRC_AT, crc_of(head, head + JOURNAL_HEAD_BYTES, bytes));
    journal->count += JOURNAL_HEAD_BYTES + bytes;
    return 0;
}

int journal_write(struct journal *journal, int fd, uint64_t *end)
{
    if (write_at(fd, *end, journal->bytes, journal->count) < 0)
        return -1;
    *end += journal->count;
    journal->count = 0;
    return 0;
}

void journal_fini(struct journal *journal)
{
    free(journal->bytes);
    *journal = (struct journal){.bytes = NULL};
}

/* ---- reading ---------------------------------------------------------------------------- */

int journal_reader_init(struct journal_reader *reader, int fd)
{
    *reader = (struct journal_reader){
        .fd = fd, .buffer = malloc(JOURNAL_HEAD_BYTES + JOURNAL_RECORD_BYTES_MAX)};
    return reader->buffer ? 0 : -1;
}

void journal_reader_fini(struct journal_reader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

static bool read_all(int fd, uint8_t *to, size_t count, uint64_t offset)
{
    while (count) {
        const ssize_t got = pread(fd, to, count, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return true;
}

bool journal_read(struct journal_reader *reader, uint64_t at)
{
    uint8_t *head = reader->buffer, *bytes = head + JOURNAL_HEAD_BYTES;
    uint32_t count;

    if (!read_all(reader->fd, head, JOURNAL_HEAD_BYTES, at))
        return false;
    count = get_u32(head);
    if (count > JOURNAL_RECORD_BYTES_MAX ||
        !read_all(reader->fd, bytes, count, at + JOURNAL_HEAD_BYTES) ||
        get_u32(head + CRC_AT) != crc_of(head, bytes, count))
        return false;
    reader->kind = get_u32(head + KIND_AT);
    reader->count = count;
    reader->bytes = bytes;
    reader->at = at + JOURNAL_HEAD_BYTES + count;
    return true;
}

bool journal_next(struct journal_reader *reader)
{
    return journal_read(reader, reader->at);
}
