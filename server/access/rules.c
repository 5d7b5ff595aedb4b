/* SPDX-License-Identifier: Apache-2.0 */
#include "access/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/policies.h"
#include "base/array.h"
#include "base/file_io.h"
#include "base/number.h"
#include "base/peer.h"
#include "proto/utf8.h"

static const char token_prefix[] = "sha256:", subject_prefix[] = "cert:";

struct rules {
    char *text; /* of the file; names and subjects point into it */
    struct rule *rules;
    size_t count, capacity;
};

/* Where an error is. */
struct place {
    const char *path;
    unsigned line;
    struct failure *failure;
};

static int wrong(const struct place *place, const char *what)
{
    return fail(place->failure, TRIT_INVALID_ARGUMENT, "token-file", "%.300s:%u: %s",
                place->path, place->line, what);
}

/* ---- the file ------------------------------------------------------------------- */

/* Only hashes are in the file, so others may read it. Whoever can write it can let
 * anybody in. A pipe could not be read a second time. */
static int check_file(int file, const char *path, struct failure *failure)
{
    struct stat about;

    if (fstat(file, &about) < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file", "%.300s: %s", path,
                    strerror(errno));
    if (!S_ISREG(about.st_mode))
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file",
                    "%.300s: not a regular file", path);
    if (about.st_mode & S_IWOTH)
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file",
                    "%.300s: every user of this machine can write it; run: chmod o-w "
                    "%.300s",
                    path, path);
    return 0;
}

static int read_text(struct rules *rules, const char *path, struct failure *failure)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t count;
    char *shrunk;

    if (file < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file", "%.300s: %s", path,
                    strerror(errno));
    if (check_file(file, path, failure) < 0) {
        close(file);
        return -1;
    }
    count = read_fully(file, rules->text, TOKEN_FILE_BYTES_MAX + 1);
    close(file);
    if (count < 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file", "%.300s: %s", path,
                    strerror(errno));
    if (count > TOKEN_FILE_BYTES_MAX)
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file",
                    "%.300s: larger than %d bytes; remove what is no longer used", path,
                    TOKEN_FILE_BYTES_MAX);
    rules->text[count] = '\0';
    shrunk = realloc(rules->text, (size_t)count + 1);
    if (shrunk)
        rules->text = shrunk;
    if (strlen(rules->text) != (size_t)count)
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file",
                    "%.300s: a NUL byte after %zu bytes: not a text file", path,
                    strlen(rules->text));
    return 0;
}

/* ---- one line ---------------------------------------------------------------------- */

static const char usage[] = "not NAME sha256:HEX POLICY[,POLICY] or NAME cert:SUBJECT "
                            "POLICY[,POLICY]; make a line with: trit token NAME POLICY";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts blanks and a comment off both ends. A '#' inside a word is part of it. */
static char *trimmed(char *line)
{
    size_t length;

    while (is_blank(*line))
        line++;
    for (char *at = line; *at; at++) {
        if (*at == '#' && (at == line || is_blank(at[-1]))) {
            *at = '\0';
            break;
        }
    }
    length = strlen(line);
    while (length > 0 && is_blank(line[length - 1]))
        line[--length] = '\0';
    return line;
}

/* Cuts the line into name, credential and policies. A subject may have blanks. */
static int split(char *line, char **credential, char **policies)
{
    char *end = line + strlen(line), *at = line;

    while (*at && !is_blank(*at))
        at++;
    if (!*at)
        return -1;
    *at++ = '\0';
    while (is_blank(*at))
        at++;
    *credential = at;
    while (end > at && !is_blank(end[-1]))
        end--;
    if (end == at)
        return -1;
    *policies = end;
    while (end > at && is_blank(end[-1]))
        end--;
    *end = '\0';
    return 0;
}

static int read_digest(struct rule *rule, const char *hex)
{
    if (strlen(hex) != (size_t)2 * TOKEN_DIGEST_BYTES)
        return -1;
    for (size_t i = 0; i < TOKEN_DIGEST_BYTES; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        rule->digest[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static int read_credential(struct rule *rule, char *text, const struct place *place)
{
    size_t length = strlen(text);

    if (strncmp(text, token_prefix, sizeof(token_prefix) - 1) == 0) {
        if (read_digest(rule, text + sizeof(token_prefix) - 1) == 0)
            return 0;
        return wrong(place, "sha256: needs 64 hexadecimal digits; make a line with: trit "
                            "token NAME POLICY");
    }
    if (strncmp(text, subject_prefix, sizeof(subject_prefix) - 1) != 0)
        return wrong(place, usage);
    rule->subject = text + sizeof(subject_prefix) - 1;
    if (text[length - 1] == ',')
        return wrong(place, "policies are separated by commas without blanks");
    if (!*rule->subject)
        return wrong(place, "cert: needs the subject of a certificate, such as "
                            "cert:CN=trainer,O=Example");
    if (length - (sizeof(subject_prefix) - 1) >= PEER_SUBJECT_BYTES)
        return wrong(place, "the subject is longer than 511 bytes");
    return 0;
}

static int read_policies(struct rule *rule, char *text, const struct place *place)
{
    char *name;

    while ((name = strsep(&text, ","))) {
        enum policy policy = policy_by_name(name);

        if (policy == POLICY_NONE)
            return fail(place->failure, TRIT_INVALID_ARGUMENT, "token-file",
                        "%.300s:%u: \"%.40s\" is not a policy; use read, verify, "
                        "project, layers, checkpoints or admin, separated by commas",
                        place->path, place->line, name);
        rule->policies |= POLICY_BIT(policy);
    }
    return 0;
}

/* A credential that stands twice would leave open which policies it has. The same name
 * may stand twice: that is how a token is replaced without a gap. */
static int check_twice(const struct rules *rules, const struct rule *rule,
                       const struct place *place)
{
    const struct rule *other = rule->subject ? rules_find_subject(rules, rule->subject)
                                             : rules_find_token(rules, rule->digest);

    if (!other)
        return 0;
    return fail(place->failure, TRIT_INVALID_ARGUMENT, "token-file",
                "%.300s:%u: the same %s as in line %u; remove one of the lines",
                place->path, place->line, rule->subject ? "subject" : "token",
                other->line);
}

static int read_rule(struct rules *rules, char *line, const struct place *place)
{
    struct rule rule = {.name = line, .line = place->line};
    char *credential, *policies;
    struct rule *grown;

    if (split(line, &credential, &policies) < 0)
        return wrong(place, usage);
    if (strlen(rule.name) > TOKEN_NAME_BYTES_MAX || !utf8_is_name(rule.name))
        return wrong(place, "the name must be UTF-8 without control characters, of at "
                            "most 64 bytes");
    if (read_credential(&rule, credential, place) < 0 ||
        read_policies(&rule, policies, place) < 0 || check_twice(rules, &rule, place) < 0)
        return -1;
    if (rules->count == TOKEN_RULES_MAX)
        return wrong(place, "more than 1024 rules; remove what is no longer used");
    grown = array_grow(rules->rules, &rules->capacity, rules->count + 1, sizeof(rule));
    if (!grown)
        return fail(place->failure, TRIT_RESOURCE_EXHAUSTED, "token-file",
                    "no memory for the token file");
    rules->rules = grown;
    grown[rules->count++] = rule;
    return 0;
}

/* ---- all together ---------------------------------------------------------------- */

static int read_rules(struct rules *rules, const char *path, struct failure *failure)
{
    struct place place = {.path = path, .failure = failure};
    char *line, *rest;

    if (read_text(rules, path, failure) < 0)
        return -1;
    rest = rules->text;
    while ((line = strsep(&rest, "\n"))) {
        place.line++;
        line = trimmed(line);
        if (*line && read_rule(rules, line, &place) < 0)
            return -1;
    }
    /* Perhaps it is being written. In any case nobody could call. */
    if (rules->count == 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, "token-file",
                    "%.300s: has no rule, so nobody could call; make one with: trit "
                    "token NAME POLICY",
                    path);
    return 0;
}

int rules_read(struct rules **out, const char *path, struct failure *failure)
{
    struct rules *rules = calloc(1, sizeof(*rules));

    if (rules)
        rules->text = malloc(TOKEN_FILE_BYTES_MAX + 2);
    if (!rules || !rules->text)
        fail(failure, TRIT_RESOURCE_EXHAUSTED, "token-file",
             "no memory for the token file");
    if (!rules || !rules->text || read_rules(rules, path, failure) < 0) {
        rules_free(rules);
        return -1;
    }
    *out = rules;
    return 0;
}

void rules_free(struct rules *rules)
{
    if (!rules)
        return;
    free(rules->rules);
    free(rules->text);
    free(rules);
}

size_t rules_count(const struct rules *rules)
{
    return rules->count;
}

const struct rule *rules_find_token(const struct rules *rules,
                                    const uint8_t digest[TOKEN_DIGEST_BYTES])
{
    const struct rule *found = NULL;

    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->rules[i];

        if (!rule->subject &&
            gnutls_memcmp(rule->digest, digest, TOKEN_DIGEST_BYTES) == 0)
            found = rule;
    }
    return found;
}

const struct rule *rules_find_subject(const struct rules *rules, const char *subject)
{
    for (size_t i = 0; i < rules->count; i++)
        if (rules->rules[i].subject && strcmp(rules->rules[i].subject, subject) == 0)
            return &rules->rules[i];
    return NULL;
}
