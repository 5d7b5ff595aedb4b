/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/sha256.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static gnutls_hash_hd_t handle_of(struct sha256 *hash)
{
    return (gnutls_hash_hd_t)hash;
}

int sha256_create(struct sha256 **hash, struct failure *failure)
{
    gnutls_hash_hd_t handle;
    const int result = gnutls_hash_init(&handle, GNUTLS_DIG_SHA256);

    if (result < 0)
        return fail(failure,
                    result == GNUTLS_E_MEMORY_ERROR ? TRIT_RESOURCE_EXHAUSTED
                                                    : TRIT_INTERNAL,
                    NULL, "cannot compute a SHA-256: %s", gnutls_strerror(result));
    *hash = (struct sha256 *)handle;
    return 0;
}

int sha256_add(struct sha256 *hash, const void *bytes, size_t count,
               struct failure *failure)
{
    const int result = gnutls_hash(handle_of(hash), bytes, count);

    return result < 0 ? fail(failure, TRIT_INTERNAL, NULL, "cannot compute a SHA-256: %s",
                             gnutls_strerror(result))
                      : 0;
}

void sha256_take(struct sha256 *hash, uint8_t digest[TRIT_DIGEST_BYTES])
{
    gnutls_hash_output(handle_of(hash), digest);
}

void sha256_destroy(struct sha256 *hash)
{
    if (hash)
        gnutls_hash_deinit(handle_of(hash), NULL);
}
