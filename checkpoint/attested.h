/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what an attestation speaks of: files and layers, each with its digest. */
#ifndef CHECKPOINT_ATTESTED_H
#define CHECKPOINT_ATTESTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoint/options.h"

/* A file and the SHA-256 of its bytes, or a matrix of a layer and the digest of its trits
 * and scales. */
struct attested {
    char *name;
    uint8_t digest[TRIT_DIGEST_BYTES];
    struct layer_terms terms; /* of a layer */
    double max_round_error;   /* of a layer, as in its report */
};

struct attested_list {
    struct attested *list;
    size_t count, capacity;
};

/* Copies the name. RESOURCE_EXHAUSTED: out of memory. */
int attested_add(struct attested_list *list, const char *name,
                 const uint8_t digest[TRIT_DIGEST_BYTES], const struct layer_terms *terms,
                 struct failure *failure);

/* As attested_add, of a matrix of a layer. */
int attested_add_layer(struct attested_list *list, const char *name,
                       const uint8_t digest[TRIT_DIGEST_BYTES],
                       const struct layer_terms *terms, double max_round_error,
                       struct failure *failure);

/* Sorts by name. Returns the first name that stands twice, or NULL. */
const char *attested_sort(struct attested_list *list);

void attested_fini(struct attested_list *list); /* harmless on a zeroed one */

/* Can a statement name this file? It is a name without a folder, in UTF-8, without control
 * characters. */
bool attested_can_name(const char *file);

enum { DIGEST_HEX_BYTES = 2 * TRIT_DIGEST_BYTES + 1 };

/* The digest as lower-case hexadecimal digits, and the reverse; false: it is something
 * else. */
const char *digest_hex(char hex[DIGEST_HEX_BYTES],
                       const uint8_t digest[TRIT_DIGEST_BYTES]);
bool digest_read(const char *hex, uint8_t digest[TRIT_DIGEST_BYTES]);

#endif
