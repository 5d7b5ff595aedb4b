/* SPDX-License-Identifier: Apache-2.0 */
/* trit token: makes a token, and the line of it for the daemon's token file. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "client/cli/cli.h"
#include "proto/utf8.h"

enum {
    TOKEN_RANDOM_BYTES = 32,
    TOKEN_TEXT_BYTES = 44, /* base64url without padding, and the NUL */
    TOKEN_NAME_BYTES_MAX = 64,
    DIGEST_BYTES = 32,
    POLICIES_BYTES = 64,
};

static const char *const policies[] = {"read",   "verify",      "project",
                                       "layers", "checkpoints", "admin"};
enum { POLICY_COUNT = sizeof(policies) / sizeof(policies[0]) };

/* The bit of the policy whose name is the first `length` bytes; 0: there is none. */
static unsigned policy_bit(const char *name, size_t length)
{
    for (unsigned i = 0; i < POLICY_COUNT; i++)
        if (strlen(policies[i]) == length && strncmp(policies[i], name, length) == 0)
            return 1u << i;
    return 0;
}

/* Collects "read verify,project" as bits. */
static int read_policies(const struct options *options, unsigned *bits)
{
    *bits = 0;
    for (size_t i = 1; i < options->argument_count; i++) {
        const char *at = options->arguments[i];

        for (;;) {
            size_t length = strcspn(at, ",");
            unsigned bit = policy_bit(at, length);

            if (!bit) {
                complain(USAGE,
                         "token: \"%.*s\" is not a policy; use read, verify, project, "
                         "layers, checkpoints or admin",
                         (int)(length < 64 ? length : 64), at);
                return -1;
            }
            *bits |= bit;
            if (!at[length])
                break;
            at += length + 1;
        }
    }
    return 0;
}

static bool is_name(const char *name)
{
    return *name && *name != '#' && !strpbrk(name, " \t") &&
           strlen(name) <= TOKEN_NAME_BYTES_MAX && utf8_is_name(name);
}

/* A fresh token as base64url, and the SHA-256 of that text in hexadecimal. */
static int make(char token[TOKEN_TEXT_BYTES], char hex[2 * DIGEST_BYTES + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789-_";
    unsigned char random[TOKEN_RANDOM_BYTES + 1] = {0}, digest[DIGEST_BYTES];

    if (getrandom(random, TOKEN_RANDOM_BYTES, 0) != TOKEN_RANDOM_BYTES) {
        complain(FAILED, "no random numbers: %s", strerror(errno));
        return -1;
    }
    for (size_t i = 0; i < TOKEN_TEXT_BYTES - 1; i++) {
        size_t at = 6 * i / 8;
        unsigned two = (unsigned)random[at] << 8 | random[at + 1];

        token[i] = digits[two >> (10 - 6 * i % 8) & 63];
    }
    token[TOKEN_TEXT_BYTES - 1] = '\0';
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, token, TOKEN_TEXT_BYTES - 1, digest) < 0) {
        complain(FAILED, "cannot compute a SHA-256");
        return -1;
    }
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static enum exit_code run_token(const struct options *options)
{
    char token[TOKEN_TEXT_BYTES], hex[2 * DIGEST_BYTES + 1], list[POLICIES_BYTES] = "";
    char line[TOKEN_NAME_BYTES_MAX + sizeof(hex) + POLICIES_BYTES + 16];
    const char *name = options->arguments[0];
    unsigned bits;

    if (!is_name(name))
        return complain(USAGE, "token: the name must be one word of at most 64 bytes");
    if (read_policies(options, &bits) < 0)
        return USAGE;
    if (make(token, hex) < 0)
        return FAILED;
    for (unsigned i = 0; i < POLICY_COUNT; i++)
        if (bits & 1u << i)
            snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
                     *list ? "," : "", policies[i]);
    snprintf(line, sizeof(line), "%s sha256:%s %s", name, hex, list);
    if (option_given(options, OPTION_JSON))
        return print_json(
            json_pack("{s:s, s:s, s:s}", "name", name, "token", token, "line", line),
            DONE);
    printf("%s\n%s\n", token, line);
    fputs(
        "The first line is the token: give it to the caller, it is not kept anywhere.\n"
        "The second belongs into the daemon's --token-file; then send SIGHUP to tritd.\n",
        stderr);
    return DONE;
}

const struct command cmd_token = {
    .name = "token",
    .arguments = "NAME POLICY...",
    .summary = "make a token for callers, and its line of the token file",
    .details = "Policies: read, verify, project, layers, checkpoints, admin. Prints the "
               "token,\nthen the line for tritd --token-file. It needs no daemon.",
    .options = OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_HELP),
    .arguments_min = 2,
    .arguments_max = 7,
    .run = run_token,
};
