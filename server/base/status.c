/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/utf8.h"

static const char *const names[] = {
    [TRIT_OK] = "OK",
    [TRIT_CANCELLED] = "CANCELLED",
    [TRIT_UNKNOWN] = "UNKNOWN",
    [TRIT_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [TRIT_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [TRIT_NOT_FOUND] = "NOT_FOUND",
    [TRIT_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [TRIT_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [TRIT_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [TRIT_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [TRIT_ABORTED] = "ABORTED",
    [TRIT_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [TRIT_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [TRIT_INTERNAL] = "INTERNAL",
    [TRIT_UNAVAILABLE] = "UNAVAILABLE",
    [TRIT_DATA_LOSS] = "DATA_LOSS",
    [TRIT_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *status_name(enum trit_status status)
{
    size_t number = (size_t)status;

    return number < sizeof(names) / sizeof(names[0]) ? names[number] : "UNKNOWN";
}

/* As vsnprintf; cuts between characters, because messages are sent as protobuf strings,
 * which must be UTF-8. */
static void format_text(char *text, size_t bytes, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void format_text(char *text, size_t bytes, const char *format, va_list args)
{
    int wanted = vsnprintf(text, bytes, format, args);

    if (wanted < 0)
        text[0] = '\0';
    else if ((size_t)wanted >= bytes)
        text[utf8_cut(text, bytes - 1)] = '\0';
}

static int fill(struct failure *failure, enum trit_status status, const char *field,
                const char *prefix, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));
static int fill(struct failure *failure, enum trit_status status, const char *field,
                const char *prefix, const char *format, va_list args)
{
    const bool named = *prefix && field && *field;
    size_t used;

    assert(status != TRIT_OK);
    if (!failure || failure->status != TRIT_OK)
        return -1;
    failure->status = status;
    snprintf(failure->field, sizeof(failure->field), "%s", field ? field : "");
    used = (size_t)snprintf(failure->message, sizeof(failure->message), "%s%s",
                            named ? failure->field : "", named ? prefix : "");
    format_text(failure->message + used, sizeof(failure->message) - used, format, args);
    return -1;
}

int fail(struct failure *failure, enum trit_status status, const char *field,
         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(failure, status, field, "", format, args);
    va_end(args);
    return -1;
}

int fail_field(struct failure *failure, enum trit_status status, const char *field,
               const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(failure, status, field, ": ", format, args);
    va_end(args);
    return -1;
}

int fail_as(struct failure *failure, const struct failure *reason)
{
    assert(reason->status != TRIT_OK);
    if (failure && failure->status == TRIT_OK)
        *failure = *reason;
    return -1;
}

int fail_context(struct failure *failure, const char *format, ...)
{
    char context[TRIT_MESSAGE_BYTES_MAX + 1];
    size_t length, kept, space;
    va_list args;

    if (!failure)
        return -1;
    va_start(args, format);
    format_text(context, sizeof(context) - 2, format, args);
    va_end(args);
    length = strlen(context);
    memcpy(context + length, ": ", 2);
    length += 2;

    space = sizeof(failure->message) - 1 - length;
    kept = strlen(failure->message);
    memmove(failure->message + length, failure->message, kept < space ? kept : space);
    memcpy(failure->message, context, length);
    failure->message[kept <= space ? length + kept
                                   : utf8_cut(failure->message, length + space)] = '\0';
    return -1;
}
