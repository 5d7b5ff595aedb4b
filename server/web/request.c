/* SPDX-License-Identifier: Apache-2.0 */
#include "web/request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "proto/health.h"
#include "proto/utf8.h"
#include "web/text.h"

/* ---- path ------------------------------------------------------------------ */

/* Length of the path segment at `at`. */
static size_t segment(const char *at)
{
    return strcspn(at, "/");
}

/* Whether the path matches the pattern. `names` then point into the path. */
static bool match(const char *pattern, const char *path, const char *names[],
                  size_t lengths[])
{
    size_t count = 0;

    while (*pattern == '/' && *path == '/') {
        size_t wanted = segment(++pattern), got = segment(++path);

        if (wanted == 1 && *pattern == '*') {
            if (got == 0)
                return false;
            names[count] = path;
            lengths[count++] = got;
        } else if (wanted != got || memcmp(pattern, path, got) != 0) {
            return false;
        }
        pattern += wanted;
        path += got;
    }
    return *pattern == '\0' && *path == '\0';
}

typedef int decoder(const char *bytes, size_t count, char *out, size_t room);

static int decode_name(decoder *decode, const char *bytes, size_t count, char *out,
                       struct failure *failure)
{
    if (decode(bytes, count, out, TRIT_NAME_BYTES_MAX + 1) == 0 && utf8_is_name(out))
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "path",
                      "\"%.*s\" is not a percent-encoded name of at most %d bytes "
                      "without control characters",
                      (int)(count < 300 ? count : 300), bytes, TRIT_NAME_BYTES_MAX);
}

const struct route *route_find(const struct route *routes, const char *path,
                               struct request *request, struct failure *failure)
{
    const char *names[REQUEST_NAMES_MAX] = {0};
    size_t lengths[REQUEST_NAMES_MAX] = {0};

    for (const struct route *route = routes; route->pattern; route++) {
        memset(names, 0, sizeof(names));
        if (!match(route->pattern, path, names, lengths))
            continue;
        for (int i = 0; i < REQUEST_NAMES_MAX; i++)
            if (names[i] && decode_name(segment_decode, names[i], lengths[i],
                                        request->names[i], failure) < 0)
                return NULL;
        return route;
    }
    fail(failure, TRIT_NOT_FOUND, "path", "no such path: %.300s", path);
    return NULL;
}

/* ---- query ----------------------------------------------------------------- */

/* Whether `key` is one of `words`. */
static bool takes(const char *words, const char *key)
{
    size_t length = strlen(key);

    for (const char *at = words; length > 0 && (at = strstr(at, key)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

struct parameter {
    const char *key;
    bool *given;      /* NULL: an empty text is the same as none */
    uint64_t *number; /* or */
    char *text;
    size_t text_bytes;
    uint64_t low, high; /* of a number, inclusive */
};

static int decode_number(const struct parameter *p, const char *value,
                         struct failure *failure)
{
    if (parse_u64(value, p->high, p->number) && *p->number >= p->low)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, p->key,
                      "\"%.100s\" is not a number from %" PRIu64 " to %" PRIu64, value,
                      p->low, p->high);
}

/* A form of HTML sends a space as `+`. Its empty fields are as if not given. */
static int decode_text(const struct parameter *p, const char *value,
                       struct failure *failure)
{
    char plain[3 * FIELDS_TEXT_BYTES];
    size_t count = strlen(value);

    if (p->given || count >= sizeof(plain))
        return decode_name(url_decode, value, count, p->text, failure);
    for (size_t i = 0; i <= count; i++)
        plain[i] = (char)(value[i] == '+' ? ' ' : value[i]);
    if (url_decode(plain, count, p->text, p->text_bytes) == 0 &&
        (p->text[0] == '\0' || utf8_is_name(p->text)))
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, p->key,
                      "\"%.100s\" is not percent-encoded text of at most %zu bytes "
                      "without control characters",
                      value, p->text_bytes - 1);
}

#define NUMBER(name, low, high)                                                          \
    {                                                                                    \
#name, &r->has_##name, &r->name, NULL, 0, low, high                              \
    }
#define TEXT(name)                                                                       \
    {                                                                                    \
#name, NULL, NULL, r->name, sizeof(r->name), 0, 0                                \
    }

int request_parameter(struct request *request, const struct route *route, const char *key,
                      const char *value, struct failure *failure)
{
    struct request *r = request;
    const struct parameter parameters[] = {
        NUMBER(step, 0, INT64_MAX),
        NUMBER(from, 0, INT64_MAX),
        NUMBER(to, 0, INT64_MAX),
        NUMBER(every, 0, INT64_MAX),
        NUMBER(limit, 1, HISTORY_LAYERS_MAX),
        NUMBER(attempt, 0, UINT32_MAX),
        NUMBER(replica, 0, UINT32_MAX),
        NUMBER(page, 0, UINT32_MAX),
        TEXT(layer),
        TEXT(health),
        TEXT(by),
        TEXT(order),
        TEXT(a),
        TEXT(b),
        TEXT(fields),
        {"after", &r->has_after, NULL, r->after, sizeof(r->after), 0, 0},
    };

    if (!route->parameters)
        return 0;
    if (!takes(route->parameters, key))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "no such parameter: \"%.100s\"; this path takes: %s", key,
                    route->parameters[0] ? route->parameters : "none");
    if (!value)
        value = "";
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        const struct parameter *p = &parameters[i];

        if (strcmp(p->key, key) != 0)
            continue;
        if (p->given ? *p->given : p->text[0])
            return fail_field(failure, TRIT_INVALID_ARGUMENT, key, "given twice");
        if (p->given)
            *p->given = true;
        if (p->number)
            return decode_number(p, value, failure);
        return decode_text(p, value, failure);
    }
    return 0;
}

void request_fini(struct request *request)
{
    free(request->joined);
    request->joined = NULL;
}

int request_check(const struct request *request, struct failure *failure)
{
    if (request->has_step && (request->has_from || request->has_to))
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "step",
                          "%" PRIu64 " cannot be combined with from or to",
                          request->step);
    if (request->has_from && request->has_to && request->from > request->to)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "from",
                          "%" PRIu64 " is greater than to: %" PRIu64, request->from,
                          request->to);
    if (request->health[0] &&
        strcmp(health_name(health_by_name(request->health)), request->health) != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "health",
                          "\"%.100s\" is not healthy, warning or failing",
                          request->health);
    if (request->order[0] && strcmp(request->order, "worst") != 0 &&
        strcmp(request->order, "name") != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "order",
                          "\"%.100s\" is not worst or name", request->order);
    return 0;
}
