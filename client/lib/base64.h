/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 as in gRPC's -bin headers: the standard alphabet, with or without padding. */
#ifndef LIB_BASE64_H
#define LIB_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Returns how many bytes were written to `out`; 0 for text that is malformed
 * or decodes to more than `capacity`. */
size_t base64_decode(const char *text, uint8_t *out, size_t capacity);

#endif
