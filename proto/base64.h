/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, section 4) as gRPC uses it for metadata whose name ends in "-bin":
 * padding may be absent. The functions are pure and do not allocate. */
#ifndef PROTO_BASE64_H
#define PROTO_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Characters that `count` bytes take, without padding. */
static inline size_t base64_chars(size_t count)
{
    return count / 3 * 4 + (count % 3 ? count % 3 + 1 : 0);
}

/* Writes base64_chars(count) characters and a NUL. No padding. */
void base64_encode(const uint8_t *bytes, size_t count, char *out);

/* Decodes `length` characters, with padding or without. Returns the number of bytes, or
 * -1: a foreign character, a wrong length, wrong padding, bits left over that are not
 * 0, or more than `capacity` bytes. */
ptrdiff_t base64_decode(const char *text, size_t length, uint8_t *out, size_t capacity);

#endif
