/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to opt: the table of all options, and how values are read. */
#ifndef CLI_OPT_TABLE_H
#define CLI_OPT_TABLE_H

#include "client/cli/options.h"

enum value_kind {
    VALUE_NONE,     /* a flag */
    VALUE_TEXT,     /* const char *, not empty, at most `max` bytes where that is not 0 */
    VALUE_ANY_TEXT, /* const char *, may be empty */
    VALUE_GLOB,     /* struct globs; the option may be repeated, as the next two may */
    VALUE_PREFIX,   /* struct globs, not empty */
    VALUE_RENAME,   /* struct globs, "OLD=NEW" */
    VALUE_NUMBER,   /* uint64_t, at most `max` */
    VALUE_SIZE,     /* uint64_t of bytes, above 0, with a unit or without */
    VALUE_COUNT,    /* uint32_t, from 1 to `max` */
    VALUE_TOLERANCE, /* float, from 0 to below 0.5 */
    VALUE_SECONDS,   /* uint64_t of milliseconds, rounded up */
    VALUE_ENUM,      /* an enum: one of `names` whose value is at most `max` */
    VALUE_ENCODING,  /* enum trit_encoding, by its name */
};

struct enum_names;

struct option_spec {
    enum option_id id;
    const char *name;
    char letter;       /* '\0': none */
    const char *value; /* the value's name in help; NULL: a flag */
    enum value_kind kind;
    size_t offset; /* of the value in struct options */
    uint64_t max;
    const struct enum_names *names;
    const char *wants; /* completes "'x' is not ..." */
    const char *help;
};

/* Reads the value of an option that is not a flag. False: the value is invalid, and the
 * options are unchanged. */
bool option_set(struct options *options, const struct option_spec *spec,
                const char *value);

enum { OPTION_SPECS = OPTION_HELP + 1 }; /* help is the last id */
extern const struct option_spec option_specs[OPTION_SPECS];

#endif
