/* SPDX-License-Identifier: Apache-2.0 */
#include "h2/rules.h"

#include <nghttp2/nghttp2.h>
#include <string.h>
#include <strings.h>

/* Fields that stand at most once and are not empty. Those before HOST are pseudo-header fields. */
enum once { METHOD, SCHEME, PATH, AUTHORITY, HOST, ONCE_FIELDS };

static const char *const once_names[ONCE_FIELDS] = {":method", ":scheme", ":path",
                                                    ":authority", "host"};

struct walk {
    const struct h2_header *once[ONCE_FIELDS]; /* as found; NULL: not yet */
    bool regular_seen;                         /* no pseudo-header field may follow */
    int64_t content_length;
};

static bool is(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

static bool is_any_case(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

static const uint8_t *value_bytes(const struct h2_header *field)
{
    return (const uint8_t *)field->value;
}

static enum once find_once(const struct h2_header *field)
{
    enum once at = 0;

    while (at < ONCE_FIELDS && !is(field->name, field->name_len, once_names[at]))
        at++;
    return at;
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* RFC 3986, section 3.1. */
static bool is_scheme(const struct h2_header *field)
{
    static const char more[] = "0123456789+-.";

    for (size_t i = 0; i < field->value_len; i++)
        if (!is_letter(field->value[i]) &&
            (i == 0 || !memchr(more, field->value[i], sizeof(more) - 1)))
            return false;
    return true;
}

static bool once_value_valid(enum once which, const struct h2_header *field)
{
    switch (which) {
    case METHOD:
        return nghttp2_check_method(value_bytes(field), field->value_len);
    case SCHEME:
        return is_scheme(field);
    case PATH:
        return nghttp2_check_path(value_bytes(field), field->value_len);
    default:
        return nghttp2_check_authority(value_bytes(field), field->value_len);
    }
}

/* A decimal number of bytes; -1: it is none, or exceeds int64_t. */
static int64_t read_length(const struct h2_header *field)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < field->value_len; i++) {
        const int digit = field->value[i] - '0';

        if (digit < 0 || digit > 9 || bytes > (INT64_MAX - digit) / 10)
            return -1;
        bytes = bytes * 10 + digit;
    }
    return field->value_len > 0 ? bytes : -1;
}

/* Fields about one connection have no place in HTTP/2; of `te` only "trailers" has. */
static bool is_of_connection(const struct h2_header *field)
{
    static const char *const names[] = {"connection", "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (is(field->name, field->name_len, names[i]))
            return true;
    return is(field->name, field->name_len, "te") &&
           !is_any_case(field->value, field->value_len, "trailers");
}

/* Name, value and kind, whatever stands around the field. */
static bool is_regular_valid(const struct h2_header *field)
{
    return nghttp2_check_header_name((const uint8_t *)field->name, field->name_len) &&
           field->name[0] != ':' &&
           nghttp2_check_header_value_rfc9113(value_bytes(field), field->value_len) &&
           !is_of_connection(field);
}

static bool take_once(struct walk *walk, enum once which, const struct h2_header *field)
{
    if (walk->once[which] || field->value_len == 0 || !once_value_valid(which, field) ||
        (which != HOST && walk->regular_seen))
        return false;
    walk->once[which] = field;
    walk->regular_seen |= which == HOST;
    return true;
}

static bool take(struct walk *walk, const struct h2_header *field)
{
    const enum once which = find_once(field);

    if (which != ONCE_FIELDS)
        return take_once(walk, which, field);
    if (!is_regular_valid(field))
        return false;
    walk->regular_seen = true;
    if (!is(field->name, field->name_len, "content-length"))
        return true;
    if (walk->content_length >= 0)
        return false;
    walk->content_length = read_length(field);
    return walk->content_length >= 0;
}

static bool value_is(const struct h2_header *field, const char *word)
{
    return is(field->value, field->value_len, word);
}

/* An http URI's path begins with '/'; `OPTIONS *` speaks of the whole server. */
static bool path_suits(const struct walk *walk)
{
    const struct h2_header *scheme = walk->once[SCHEME], *path = walk->once[PATH];

    if (!is_any_case(scheme->value, scheme->value_len, "http") &&
        !is_any_case(scheme->value, scheme->value_len, "https"))
        return true;
    return path->value[0] == '/' ||
           (value_is(path, "*") && value_is(walk->once[METHOD], "OPTIONS"));
}

static bool is_connect(const struct walk *walk)
{
    return walk->once[METHOD] && value_is(walk->once[METHOD], "CONNECT");
}

static bool is_complete(const struct walk *walk)
{
    if (is_connect(walk))
        return walk->once[AUTHORITY] && !walk->once[SCHEME] && !walk->once[PATH];
    return walk->once[METHOD] && walk->once[SCHEME] && walk->once[PATH] &&
           (walk->once[AUTHORITY] || walk->once[HOST]) && path_suits(walk);
}

struct rules_result rules_check(const struct h2_header *fields, size_t count)
{
    struct walk walk = {.content_length = -1};

    for (size_t i = 0; i < count; i++)
        if (!take(&walk, &fields[i]))
            return (struct rules_result){RULES_BAD_FIELD, i, -1};
    if (!is_complete(&walk))
        return (struct rules_result){RULES_FIELD_MISSING, 0, -1};
    return (struct rules_result){RULES_KEPT, 0,
                                 is_connect(&walk) ? -1 : walk.content_length};
}

bool rules_allow_trailer(const struct h2_header *field)
{
    return is_regular_valid(field) &&
           !is(field->name, field->name_len, "content-length") &&
           !is(field->name, field->name_len, "host");
}
