/* SPDX-License-Identifier: Apache-2.0 */
/* Strict RFC 9112: lines end in CRLF, no folded fields, no blank before the colon, one
 * valid Host and at most one Content-Length. What a lenient parser would accept, two programs may understand differently, and
 * then a proxy and this server disagree where a request ends. */
#include "web/head.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static int refused(struct head *head, unsigned http_status, struct failure *failure,
                   const char *why)
{
    head->http_status = http_status;
    return fail(failure,
                http_status == 414 || http_status == 431 ? TRIT_RESOURCE_EXHAUSTED
                : http_status == 505                     ? TRIT_UNIMPLEMENTED
                                                         : TRIT_INVALID_ARGUMENT,
                NULL, "%s", why);
}

/* RFC 9110: token characters. */
static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_bytes(const char *bytes, size_t count)
{
    size_t length = 0;

    while (length < count && is_token(bytes[length]))
        length++;
    return length;
}

/* What can be said of the first bytes already. */
static int check_start(struct head *head, const char *bytes, size_t count,
                       struct failure *failure)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n";

    if (bytes[0] == 0x16)
        return refused(head, 400, failure, "TLS on a port of plain HTTP: use http://");
    if (!is_token(bytes[0]))
        return refused(head, 400, failure, "not an HTTP request");
    if (count >= sizeof(preface) - 1 && memcmp(bytes, preface, sizeof(preface) - 1) == 0)
        return refused(head, 505, failure,
                       "HTTP/2 on the port of HTTP/1.1; gRPC has a port of its own");
    return 0;
}

static bool is_digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* RFC 3986: of a name, or of an address in brackets. */
static bool is_host_char(char c, bool brackets)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr(brackets ? ":.%" : "-._~!$&'()*+,;=%", c));
}

/* A host, or an address in brackets, with an optional port. */
static bool is_authority(const char *text, size_t count)
{
    const bool brackets = count > 0 && text[0] == '[';
    size_t at = brackets;

    while (at < count && is_host_char(text[at], brackets))
        at++;
    if (brackets && (at == count || text[at++] != ']'))
        return false;
    return at == count || (text[at] == ':' && is_digits(text + at + 1, count - at - 1));
}

/* Notes what to cut out of `GET http://host/path`, so that the path is left. */
static int check_uri(struct head *head, const char *line, size_t at, size_t end,
                     struct failure *failure)
{
    size_t scheme = at, host, stop;

    while (scheme < end && line[scheme] != ':')
        scheme++;
    if (!((scheme - at == 4 && strncasecmp(line + at, "http", 4) == 0) ||
          (scheme - at == 5 && strncasecmp(line + at, "https", 5) == 0)) ||
        end - scheme < 3 || memcmp(line + scheme, "://", 3) != 0)
        return refused(head, 400, failure,
                       "the request's target is neither a path nor an http URI");
    host = scheme + 3;
    for (stop = host; stop < end && line[stop] != '/' && line[stop] != '?'; stop++)
        continue;
    if (stop == host || stop - host >= HTTP_AUTHORITY_BYTES ||
        !is_authority(line + host, stop - host))
        return refused(head, 400, failure,
                       "the request's target is a URI without a valid host");
    memcpy(head->authority, line + host, stop - host);
    head->authority[stop - host] = '\0';
    head->cut_at = at;
    head->cut_bytes = stop - at;
    if (stop == end || line[stop] != '/') /* its last byte becomes the slash */
        head->cut_bytes--;
    return 0;
}

static int check_target(struct head *head, const char *line, size_t method, size_t end,
                        struct failure *failure)
{
    size_t at = method + 1;

    head->authority[0] = '\0';
    head->cut_bytes = 0;
    if (line[at] == '/' || (end - at == 1 && line[at] == '*') ||
        (method == 7 && memcmp(line, "CONNECT", 7) == 0))
        return 0;
    return check_uri(head, line, at, end, failure);
}

size_t head_to_path(const struct head *head, char *bytes, size_t count)
{
    char *target = bytes + head->cut_at;

    if (head->cut_bytes == 0)
        return 0;
    memmove(target, target + head->cut_bytes, count - head->cut_at - head->cut_bytes);
    target[0] = '/';
    return head->cut_bytes;
}

static int check_line(struct head *head, const char *line, size_t count,
                      struct failure *failure)
{
    static const char version[] = "HTTP/1.";
    size_t method = token_bytes(line, count), at = method + 1, end;

    if (count > HTTP_LINE_BYTES_MAX)
        return refused(head, 414, failure, "the request line exceeds 8192 bytes");
    if (method == 0 || at >= count || line[method] != ' ')
        return refused(head, 400, failure, "not an HTTP request");
    for (end = at; end < count && line[end] > ' ' && line[end] < 0x7f; end++)
        continue;
    if (end == at || end >= count || line[end] != ' ')
        return refused(head, 400, failure,
                       "the request's target is not percent-encoded ASCII");
    if (check_target(head, line, method, end, failure) < 0)
        return -1;
    end++;
    if (count - end < 5 || memcmp(line + end, "HTTP/", 5) != 0)
        return refused(head, 400, failure, "not an HTTP request");
    if (count - end != sizeof(version) ||
        memcmp(line + end, version, sizeof(version) - 1) != 0 ||
        (line[count - 1] != '0' && line[count - 1] != '1'))
        return refused(head, 505, failure, "only HTTP/1.1 and HTTP/1.0 are served");
    return 0;
}

/* The fields that a head may have once. */
struct seen {
    unsigned hosts, lengths;
};

/* Two parsers must agree on the host, and on where the request ends. */
static int check_value(struct head *head, const char *line, size_t name, size_t count,
                       struct seen *seen, struct failure *failure)
{
    const bool host = name == 4 && strncasecmp(line, "host", name) == 0;
    const bool length = name == 14 && strncasecmp(line, "content-length", name) == 0;
    const char *value = line + name + 1;

    if (!host && !length)
        return 0;
    for (count -= name + 1; count > 0 && (*value == ' ' || *value == '\t'); count--)
        value++;
    while (count > 0 && (value[count - 1] == ' ' || value[count - 1] == '\t'))
        count--;
    if (host && ++seen->hosts > 1)
        return refused(head, 400, failure, "more than one Host");
    if (host && !is_authority(value, count))
        return refused(head, 400, failure, "Host: not a host with an optional port");
    if (length && ++seen->lengths > 1)
        return refused(head, 400, failure, "more than one Content-Length");
    if (length && (count == 0 || !is_digits(value, count)))
        return refused(head, 400, failure, "Content-Length: not a number");
    return 0;
}

static int check_field(struct head *head, const char *line, size_t count,
                       struct seen *seen, struct failure *failure)
{
    size_t name = token_bytes(line, count);

    if (name == 0 || name == count || line[name] != ':')
        return refused(head, 400, failure, "a header field is malformed");
    for (size_t i = name; i < count; i++)
        if ((unsigned char)line[i] < ' ' && line[i] != '\t')
            return refused(head, 400, failure,
                           "a header field has a control character in it");
    return check_value(head, line, name, count, seen, failure);
}

/* Checks each line of a whole head. */
static int check_lines(struct head *head, const char *bytes, size_t count,
                       struct failure *failure)
{
    struct seen seen = {0, 0};
    unsigned fields = 0;
    bool needs_host = false;
    size_t at = 0;

    while (at < count) {
        const char *end = memchr(bytes + at, '\n', count - at);
        size_t length = end ? (size_t)(end - (bytes + at)) : count - at;

        if (!end || length == 0 || end[-1] != '\r' ||
            memchr(bytes + at, '\r', length - 1))
            return refused(head, 400, failure, "a line does not end in CRLF");
        length--;
        if (at == 0) {
            if (check_line(head, bytes, length, failure) < 0)
                return -1;
            needs_host = bytes[length - 1] == '1'; /* HTTP/1.1 */
        } else if (length > 0) {
            if (++fields > HTTP_FIELDS_MAX)
                return refused(head, 431, failure, "more than 100 header fields");
            if (check_field(head, bytes + at, length, &seen, failure) < 0)
                return -1;
        }
        at += length + 2;
    }
    if (needs_host && seen.hosts == 0)
        return refused(head, 400, failure,
                       "Host: missing; a request of HTTP/1.1 must have this field");
    return 0;
}

/* The end of the head: behind its empty line, however the lines end. 0: not there. */
static size_t find_end(struct head *head, const char *bytes, size_t count)
{
    for (size_t i = head->scanned; i < count; i++) {
        if (bytes[i] != '\n')
            continue;
        if (i + 1 < count && bytes[i + 1] == '\n')
            return i + 2;
        if (i + 2 < count && bytes[i + 1] == '\r' && bytes[i + 2] == '\n')
            return i + 3;
    }
    head->scanned = count > 2 ? count - 2 : 0;
    return 0;
}

int head_examine(struct head *head, const char *bytes, size_t count, size_t *length,
                 struct failure *failure)
{
    size_t end;

    if (count == 0)
        return 0;
    if (check_start(head, bytes, count, failure) < 0)
        return -1;
    end = find_end(head, bytes, count);
    if (end > 0 && end <= HTTP_HEAD_BYTES_MAX) {
        *length = end;
        head->scanned = 0;
        return check_lines(head, bytes, end, failure) < 0 ? -1 : 1;
    }
    if (count >= HTTP_LINE_BYTES_MAX + 2 && !memchr(bytes, '\n', HTTP_LINE_BYTES_MAX + 2))
        return refused(head, 414, failure, "the request line exceeds 8192 bytes");
    if (count > HTTP_HEAD_BYTES_MAX)
        return refused(head, 431, failure,
                       "the request line and the header fields exceed 16384 bytes");
    return 0;
}
