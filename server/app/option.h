/* SPDX-License-Identifier: Apache-2.0 */
/* One option of the daemon: a row of the table in config.c, and how its value is read. */
#ifndef APP_OPTION_H
#define APP_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "health/health.h"

enum option_kind {
    OPTION_LISTEN,  /* may be repeated */
    OPTION_TEXT,    /* const char * */
    OPTION_LIST,    /* struct option_list; may be repeated */
    OPTION_COUNT,   /* unsigned */
    OPTION_MODE,    /* unsigned; permissions, in octal */
    OPTION_NUMBER,  /* uint64_t */
    OPTION_BYTES,   /* uint64_t with a unit: K, M, G, T, or KiB, MiB, GiB, TiB */
    OPTION_COUNT32, /* uint32_t */
    OPTION_LEVEL,   /* enum log_level */
    OPTION_FORMAT,  /* enum log_format */
    OPTION_FLAG,    /* bool */
    OPTION_ACTION,  /* command line only */
    OPTION_CONFIG,  /* the --config file: not in that file itself */
};

enum { OPTION_LIST_MAX = 16 };

struct option_list { /* the texts are as given, each perhaps several parts with commas */
    const char *values[OPTION_LIST_MAX];
    size_t count;
    bool older; /* of an earlier kind of source: the next value begins a new list */
};

struct option_row {
    const char *name; /* --name, TRITD_NAME, name = ... */
    enum option_kind kind;
    size_t offset;     /* in struct config */
    const char *value; /* as the help shows it; NULL: the option takes none */
    const char *help;
    bool reloads; /* SIGHUP applies a new value; others need a restart */
};

/* INVALID_ARGUMENT: "<source>: "<value>" is not <allowed>". Returns -1. */
int option_refuse(const struct option_row *row, const char *source, const char *value,
                  const char *allowed, struct failure *failure);

/* Reads `value` into the member of the row. `source` says where it was set, for the
 * message: "--threads", "TRITD_THREADS" or "tritd.conf:3: threads". INVALID_ARGUMENT
 * names the source and the value, and says what is allowed. Rows of
 * the kinds LISTEN, ACTION and CONFIG are the caller's: they are left alone. */
int option_read(void *config, const struct option_row *row, const char *source,
                const char *value, struct failure *failure);

/* Whether the member of the row has the same value in both. Not for LISTEN. */
bool option_equal(const void *a, const void *b, const struct option_row *row);

/* Copies a member that is not text. */
void option_copy(void *to, const void *from, const struct option_row *row);

/* Writes the name of the row's environment variable: "TRITD_DATA_DIR". */
void option_environment_name(const struct option_row *row, char *name, size_t bytes);

/* The rules with the thresholds of the list. INVALID_ARGUMENT. */
int option_health_rules(const struct option_list *list, struct health_rules *rules,
                        struct failure *failure);

#endif
