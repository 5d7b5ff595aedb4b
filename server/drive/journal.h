/* SPDX-License-Identifier: Apache-2.0 */
/* Records in a file that only grows. Each has its length, its kind and a CRC-32C, so that a
 * record that was cut or changed is noticed; what stands before it is still valid. */
#ifndef DRIVE_JOURNAL_H
#define DRIVE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum {
    JOURNAL_RECORD_BYTES_MAX = 1 << 16, /* of the bytes of one record */
    JOURNAL_HEAD_BYTES = 12,
};

/* Records that wait to be written. Zeroed before the first one. */
struct journal {
    uint8_t *bytes;
    size_t count, capacity;
};

/* Adds a record, whose bytes are those of two parts. -1: no memory, or too long. */
int journal_add(struct journal *journal, uint32_t kind, const void *first,
                size_t first_bytes, const void *second, size_t second_bytes);

/* Writes them at byte *end of the file, and moves *end; they no longer wait. -1: errno. */
int journal_write(struct journal *journal, int fd, uint64_t *end);

void journal_fini(struct journal *journal);

/* Reads records from the start of a file. */
struct journal_reader {
    int fd;
    uint64_t at;     /* behind the record that was read last */
    uint8_t *buffer; /* JOURNAL_HEAD_BYTES + JOURNAL_RECORD_BYTES_MAX */
    uint32_t kind;   /* of that record */
    size_t count;
    const uint8_t *bytes;
};

/* -1: no memory. */
int journal_reader_init(struct journal_reader *reader, int fd);
void journal_reader_fini(struct journal_reader *reader);

/* Reads the record at byte `at`. False: there is none, or not a whole one. */
bool journal_read(struct journal_reader *reader, uint64_t at);
/* Reads the next one. */
bool journal_next(struct journal_reader *reader);

/* Numbers in records, little-endian. */
void journal_put_u64(uint8_t out[8], uint64_t value);
uint64_t journal_get_u64(const uint8_t bytes[8]);

#endif
