/* SPDX-License-Identifier: Apache-2.0 */
/* access_allows goes from the caller's credentials to a rule, and from the rule to its
 * policies. The lock is held only while the rules are searched: access_reload builds the
 * new rules without it and swaps one pointer. */
#include "access/access.h"

#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "access/policies.h"
#include "access/rules.h"
#include "base/peer.h"

struct access {
    struct access_config config;
    pthread_rwlock_t lock;
    struct rules *rules; /* NULL: no token file; under the lock */
};

/* What a caller is and has. */
_Static_assert(CALLER_NAME_BYTES == TOKEN_NAME_BYTES_MAX + 1, "a name fits");
struct grant {
    char name[CALLER_NAME_BYTES]; /* "" : a certificate without a rule */
    uint32_t policies;
};

int access_create(struct access **out, const struct access_config *config,
                  struct failure *failure)
{
    struct access *access = calloc(1, sizeof(*access));

    if (!access)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                    "no memory for the access rules");
    access->config = *config;
    if (config->token_file &&
        rules_read(&access->rules, config->token_file, failure) < 0) {
        free(access);
        return -1;
    }
    pthread_rwlock_init(&access->lock, NULL);
    *out = access;
    return 0;
}

void access_destroy(struct access *access)
{
    if (!access)
        return;
    pthread_rwlock_destroy(&access->lock);
    rules_free(access->rules);
    free(access);
}

int access_reload(struct access *access, struct failure *failure)
{
    struct rules *fresh, *old;

    if (!access->config.token_file)
        return 0;
    if (rules_read(&fresh, access->config.token_file, failure) < 0)
        return -1;
    pthread_rwlock_wrlock(&access->lock);
    old = access->rules;
    access->rules = fresh;
    pthread_rwlock_unlock(&access->lock);
    rules_free(old);
    return 0;
}

bool access_required(const struct access *access)
{
    return access->config.token_file || access->config.client_ca;
}

size_t access_count(struct access *access)
{
    size_t count;

    pthread_rwlock_rdlock(&access->lock);
    count = access->rules ? rules_count(access->rules) : 0;
    pthread_rwlock_unlock(&access->lock);
    return count;
}

/* ---- who calls ---------------------------------------------------------------------- */

static void grant_of(const struct rule *rule, struct grant *grant)
{
    strcpy(grant->name, rule->name);
    grant->policies = rule->policies;
}

/* The token of "Bearer TOKEN", and its length without blanks at the end. NULL: the value
 * has another form. */
static const char *bearer(const char *value, size_t *length)
{
    static const char scheme[] = "bearer ";

    if (strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    value += sizeof(scheme) - 1;
    value += strspn(value, " ");
    *length = strcspn(value, " ");
    return *length > 0 && value[*length + strspn(value + *length, " ")] == '\0' ? value
                                                                                : NULL;
}

static int by_token(struct access *access, const struct peer *peer, const char *value,
                    struct grant *grant, struct failure *failure)
{
    uint8_t digest[TOKEN_DIGEST_BYTES];
    const struct rule *rule = NULL;
    size_t length = 0;
    const char *token = bearer(value, &length);

    if (!peer || (!peer->encrypted && !peer->loopback && !peer->unix_socket))
        return fail(failure, TRIT_UNAUTHENTICATED, NULL,
                    "a token came over plain TCP from another machine, where others can "
                    "read it: replace the token, and connect by TLS");
    if (!token)
        return fail(failure, TRIT_UNAUTHENTICATED, NULL,
                    "the authorization header must be: Bearer TOKEN");
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, token, length, digest) < 0)
        return fail(failure, TRIT_INTERNAL, NULL, "cannot compute a SHA-256");
    pthread_rwlock_rdlock(&access->lock);
    if (access->rules)
        rule = rules_find_token(access->rules, digest);
    if (rule)
        grant_of(rule, grant);
    pthread_rwlock_unlock(&access->lock);
    return rule ? 0
                : fail(failure, TRIT_UNAUTHENTICATED, NULL,
                       "the token is unknown: the daemon's token file has no such line");
}

static void by_subject(struct access *access, const char *subject, struct grant *grant)
{
    const struct rule *rule = NULL;

    pthread_rwlock_rdlock(&access->lock);
    if (access->rules)
        rule = rules_find_subject(access->rules, subject);
    if (rule)
        grant_of(rule, grant);
    pthread_rwlock_unlock(&access->lock);
    if (!access->config.token_file)
        grant->policies = POLICY_BIT(POLICY_PROJECT) | POLICY_BIT(POLICY_VERIFY) |
                          POLICY_BIT(POLICY_READ);
}

/* A token counts before a certificate: whoever sends one wants to be known by it. */
static int identify(struct access *access, const struct peer *peer,
                    const char *authorization, struct grant *grant,
                    struct failure *failure)
{
    if (authorization)
        return by_token(access, peer, authorization, grant, failure);
    if (peer && peer->subject[0]) {
        by_subject(access, peer->subject, grant);
        return 0;
    }
    if (!access->config.token_file)
        return fail(failure, TRIT_UNAUTHENTICATED, NULL,
                    "no client certificate: connect by TLS with one (trit: --tls-cert "
                    "and --tls-key)");
    return fail(failure, TRIT_UNAUTHENTICATED, NULL,
                "no token: send the header \"authorization: Bearer TOKEN\" (trit: "
                "--token-file FILE, or TRIT_TOKEN)");
}

/* ---- what the caller may do --------------------------------------------------------- */

static int denied(const struct grant *grant, enum policy policy, const char *what,
                  const struct peer *peer, struct failure *failure)
{
    char has[POLICY_LIST_BYTES];

    if (!grant->name[0] && !grant->policies)
        return fail(failure, TRIT_PERMISSION_DENIED, NULL,
                    "%.200s needs the policy %s; the token file has no line for the "
                    "certificate cert:%s",
                    what, policy_name(policy), peer->subject);
    policy_list(grant->policies, has);
    return fail(failure, TRIT_PERMISSION_DENIED, NULL,
                "%.200s needs the policy %s; %s has %s", what, policy_name(policy),
                grant->name[0] ? grant->name : "this certificate", has);
}

int access_allows(struct access *access, enum policy policy, const char *what,
                  const struct peer *peer, const char *authorization, char *caller,
                  struct failure *failure)
{
    struct grant grant = {.policies = 0};

    if (policy == POLICY_EVERYONE || !access_required(access))
        return 0;
    if (identify(access, peer, authorization, &grant, failure) < 0)
        return -1;
    if (caller)
        memcpy(caller, grant.name, sizeof(grant.name));
    if (grant.policies & (POLICY_BIT(policy) | POLICY_BIT(POLICY_ADMIN)))
        return 0;
    return denied(&grant, policy, what, peer, failure);
}
