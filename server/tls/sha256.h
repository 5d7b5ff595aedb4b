/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of bytes that come in pieces, by the TLS library. */
#ifndef TLS_SHA256_H
#define TLS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct sha256;

/* RESOURCE_EXHAUSTED: out of memory. INTERNAL: the library has no SHA-256. */
int sha256_create(struct sha256 **hash, struct failure *failure);

int sha256_add(struct sha256 *hash, const void *bytes, size_t count,
               struct failure *failure);

/* The hash of what was added since the start, or since the last call. */
void sha256_take(struct sha256 *hash, uint8_t digest[TRIT_DIGEST_BYTES]);

void sha256_destroy(struct sha256 *hash); /* NULL is harmless */

#endif
