/* SPDX-License-Identifier: Apache-2.0 */
/* A fast 128-bit hash (XXH3) of bytes that come in pieces of any size. It tells whether
 * two requests have the same latents. It is not cryptographic: a person can construct
 * two inputs with the same hash. */
#ifndef TERNARY_FINGERPRINT_H
#define TERNARY_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

enum { FINGERPRINT_BYTES = 16 };

struct fingerprint;

struct fingerprint *fingerprint_create(void); /* NULL: no memory */
void fingerprint_update(struct fingerprint *fingerprint, const void *bytes, size_t count);

/* The hash of all bytes so far. */
void fingerprint_value(const struct fingerprint *fingerprint,
                       uint8_t out[FINGERPRINT_BYTES]);
void fingerprint_destroy(struct fingerprint *fingerprint); /* NULL is harmless */

#endif
