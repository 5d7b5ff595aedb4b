/* Failures and how they travel: functions that can fail return 0 or -1 and
 * describe the failure in a `struct failure` that the caller lends them. One
 * place, at the top of the room, logs it or answers the peer with it. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>

#include "trit/types.h"

struct failure {
    enum trit_status status;                  /* TRIT_OK while nothing failed */
    char field[64];                           /* request field at fault, or "" */
    char message[TRIT_MESSAGE_BYTES_MAX + 1]; /* names the field and the value */
};

/* "INVALID_ARGUMENT"; "UNKNOWN" for numbers outside the table. */
const char *status_name(enum trit_status status);

/* Fills *failure (unless it already holds one: the first failure is the cause)
 * and returns -1. A NULL failure is allowed. `field` may be NULL. */
int fail(struct failure *failure, enum trit_status status, const char *field,
         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the message. Returns -1. */
int fail_context(struct failure *failure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
