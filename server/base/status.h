/* SPDX-License-Identifier: Apache-2.0 */
/* Failures. A function that can fail returns 0 or -1 and describes the failure in a
 * `struct failure` that its caller gives. One place, at the top of the module, logs it
 * or sends it to the peer. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>
#include <stdint.h>

#include "trit/types.h"

struct failure {
    enum trit_status status;                  /* TRIT_OK: nothing has failed */
    char field[64];                           /* request field at fault, or "" */
    char message[TRIT_MESSAGE_BYTES_MAX + 1]; /* names the field and the value */
    uint32_t retry_ms; /* the peer should try again after this time; 0: says nothing */
};

/* As {0}, without writing the whole of its texts: one for each call, and mostly unused. */
static inline void failure_clear(struct failure *failure)
{
    failure->status = TRIT_OK;
    failure->field[0] = failure->message[0] = '\0';
    failure->retry_ms = 0;
}

/* "INVALID_ARGUMENT" and so on; "UNKNOWN" for a number outside the table. */
const char *status_name(enum trit_status status);

/* Fills *failure and returns -1. A failure that is already filled stays: the first one
 * is the cause. `failure` and `field` may be NULL. */
int fail(struct failure *failure, enum trit_status status, const char *field,
         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* As fail, and the message begins with the field: "spec.name: must not be empty". */
int fail_field(struct failure *failure, enum trit_status status, const char *field,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

/* As fail, with all that *reason says: status, field, message and retry_ms. *reason is a
 * failure, not TRIT_OK, and stays as it is. */
int fail_as(struct failure *failure, const struct failure *reason);

/* Puts "context: " before the message. Returns -1. */
int fail_context(struct failure *failure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
