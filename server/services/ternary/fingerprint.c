/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/fingerprint.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>
/* The library then hashes with AVX2 or AVX-512 where the machine has them: the same value. */
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#endif

/* XXH3 allocates its own state. */
struct fingerprint {
    XXH3_state_t *state;
};

struct fingerprint *fingerprint_create(void)
{
    struct fingerprint *fingerprint = malloc(sizeof(*fingerprint));

    if (!fingerprint)
        return NULL;
    fingerprint->state = XXH3_createState();
    if (!fingerprint->state || XXH3_128bits_reset(fingerprint->state) != XXH_OK) {
        fingerprint_destroy(fingerprint);
        return NULL;
    }
    return fingerprint;
}

void fingerprint_update(struct fingerprint *fingerprint, const void *bytes, size_t count)
{
    /* Fails only if bytes is NULL. */
    (void)XXH3_128bits_update(fingerprint->state, bytes, count);
}

void fingerprint_value(const struct fingerprint *fingerprint,
                       uint8_t out[FINGERPRINT_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(fingerprint->state));
    memcpy(out, canonical.digest, FINGERPRINT_BYTES);
}

void fingerprint_destroy(struct fingerprint *fingerprint)
{
    if (!fingerprint)
        return;
    XXH3_freeState(fingerprint->state);
    free(fingerprint);
}
