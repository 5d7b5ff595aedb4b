/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the header of a GGUF file from its start to its end: numbers, which are
 * little-endian, and strings. It never reads beyond the file or the header's bound, and
 * allocates for a string only as many bytes as the file has. */
#ifndef FILES_GGUF_CURSOR_H
#define FILES_GGUF_CURSOR_H

#include "files/source.h"

enum { GGUF_PIECE_BYTES = 1 << 16 };

struct gguf_cursor {
    struct source *source;
    uint64_t end; /* no byte from here on is read */
    uint64_t at;  /* of the next byte */
    uint64_t piece_start;
    size_t piece_bytes;
    uint8_t piece[GGUF_PIECE_BYTES];
};

/* `bytes_max`: the bound of the header. */
void gguf_cursor_init(struct gguf_cursor *cursor, struct source *source,
                      uint64_t bytes_max);

/* Each returns -1 and fills the failure if the header ends before; `what` names the value
 * in the message. */
int gguf_take(struct gguf_cursor *cursor, void *bytes, size_t count, const char *what,
              struct failure *failure);
int gguf_take_u32(struct gguf_cursor *cursor, uint32_t *number, const char *what,
                  struct failure *failure);
int gguf_take_u64(struct gguf_cursor *cursor, uint64_t *number, const char *what,
                  struct failure *failure);
int gguf_skip(struct gguf_cursor *cursor, uint64_t count, const char *what,
              struct failure *failure);

/* A u64 length and that many bytes. *text is malloc'ed and ends in a NUL, which *length
 * does not count. */
int gguf_take_string(struct gguf_cursor *cursor, uint64_t length_max, char **text,
                     size_t *length, const char *what, struct failure *failure);

/* The little-endian number in `bytes` bytes, at most 8. */
uint64_t gguf_number(const uint8_t *bytes, size_t count);

#endif
