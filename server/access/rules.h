/* SPDX-License-Identifier: Apache-2.0 */
/* The token file, read. Immutable after rules_read. */
#ifndef ACCESS_RULES_H
#define ACCESS_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "base/policy.h"
#include "base/status.h"

enum {
    TOKEN_FILE_BYTES_MAX = 1 << 20,
    TOKEN_RULES_MAX = 1024, /* lines that are not empty or comments */
    TOKEN_NAME_BYTES_MAX = 64,
    TOKEN_DIGEST_BYTES = 32, /* SHA-256 */
};

struct rule {
    const char *name;                   /* of the caller */
    const char *subject;                /* NULL: the rule has a token */
    uint8_t digest[TOKEN_DIGEST_BYTES]; /* of the token */
    uint32_t policies;                  /* bits POLICY_BIT */
    unsigned line;                      /* in the file, from 1 */
};

#define POLICY_BIT(policy) (1u << (policy))

struct rules;

/* INVALID_ARGUMENT: the file cannot be read or has an error; the message names it, the
 * line and what to do. */
int rules_read(struct rules **rules, const char *path, struct failure *failure);
void rules_free(struct rules *rules);
size_t rules_count(const struct rules *rules);

/* Compares with every token of the file, so that the time does not tell which one
 * matched. NULL: there is no such rule. */
const struct rule *rules_find_token(const struct rules *rules,
                                    const uint8_t digest[TOKEN_DIGEST_BYTES]);
const struct rule *rules_find_subject(const struct rules *rules, const char *subject);

#endif
