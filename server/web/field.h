/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of a report that a history can show, by the names that JSON gives them. */
#ifndef WEB_FIELD_H
#define WEB_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "store/fields.h"
#include "trit/types.h"

enum {
    HISTORY_FIELDS_MAX = 24,  /* of one query */
    FIELDS_TEXT_BYTES = 1024, /* the parameter `fields` with its NUL */
};

enum field_kind {
    FIELD_REAL,
    FIELD_COUNT,  /* an integer that a double holds: a string in JSON */
    FIELD_WHOLE,  /* one up to 2^63-1, packed into the place of a double: likewise */
    FIELD_HEALTH, /* enum trit_health; for pages, not for `fields` */
};

struct field {
    const char *name;
    enum field_kind kind;
    enum fold
        fold; /* of several steps in one place; that of the store where it has the field */
    /* False: the report does not have it. */
    bool (*get)(const struct trit_report *report, double *value);
};

/* A number up to 2^63-1 as the bits of a double between -2 and 2: not NAN, which is for what
 * is absent. */
double field_pack(uint64_t whole);
uint64_t field_unpack(double place);

/* NULL: there is no such field. */
const struct field *field_by_name(const char *name);

/* Reads names with commas between them; an empty text is those of an overview. Returns
 * how many there are. -1: INVALID_ARGUMENT, naming the field. */
int fields_parse(const char *text, const struct field *fields[HISTORY_FIELDS_MAX],
                 struct failure *failure);

#endif
