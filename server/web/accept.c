/* SPDX-License-Identifier: Apache-2.0 */
#include "web/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Characters up to one of `ends`. Those in quotes do not count. */
static size_t until(const char *text, const char *ends)
{
    bool quoted = false;
    size_t length = 0;

    for (; text[length] && (quoted || !strchr(ends, text[length])); length++)
        if (text[length] == '"')
            quoted = !quoted;
        else if (quoted && text[length] == '\\' && text[length + 1])
            length++;
    return length;
}

/* "1", "0.25": in thousandths. What is no such number is taken as 1. */
static int thousandths(const char *q, size_t length)
{
    int value = 0;

    if (length == 0 || *q != '0' || (length > 1 && q[1] != '.'))
        return QUALITY_MAX;
    for (size_t i = 2, unit = QUALITY_MAX / 10; i < length; i++, unit /= 10) {
        if (q[i] < '0' || q[i] > '9')
            return QUALITY_MAX;
        value += (q[i] - '0') * (int)unit;
    }
    return value;
}

/* The q among parameters, which begin with a semicolon or are none. */
static int quality(const char *parameters)
{
    while (*parameters == ';') {
        size_t length;

        parameters += 1 + strspn(parameters + 1, " \t");
        length = until(parameters, " \t;,");
        if (strncasecmp(parameters, "q=", 2) == 0)
            return thousandths(parameters + 2, length - 2);
        parameters += length;
        parameters += strspn(parameters, " \t");
    }
    return QUALITY_MAX;
}

int quality_of(const char *list, const char *name)
{
    const size_t wanted = strlen(name);
    int best = QUALITY_ABSENT;

    while (list && *list) {
        size_t length;

        list += strspn(list, " \t,");
        length = strcspn(list, " \t,;");
        if (length == wanted && strncasecmp(list, name, wanted) == 0) {
            const char *parameters = list + length + strspn(list + length, " \t");
            const int found = quality(parameters);

            best = found > best ? found : best;
        }
        list += until(list, ",");
    }
    return best;
}

bool accepts_gzip(const char *accept_encoding)
{
    const int gzip = quality_of(accept_encoding, "gzip");

    return (gzip == QUALITY_ABSENT ? quality_of(accept_encoding, "*") : gzip) > 0;
}

bool accepts_openmetrics(const char *accept)
{
    static const char *const plain[] = {"text/plain", "text/*", "*/*"};
    const int openmetrics = quality_of(accept, "application/openmetrics-text");
    int other = QUALITY_ABSENT;

    for (size_t i = 0; other == QUALITY_ABSENT && i < sizeof(plain) / sizeof(plain[0]);
         i++)
        other = quality_of(accept, plain[i]);
    return openmetrics > 0 && openmetrics >= other;
}
