/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to opt: every option there is, with what reads its value. */
#ifndef CLI_OPT_TABLE_H
#define CLI_OPT_TABLE_H

#include "client/cli/options.h"

struct option_spec {
    enum option_id id;
    const char *name;
    char letter;       /* '\0': none */
    const char *value; /* what help calls it; NULL: a flag */
    bool (*set)(struct options *options, const char *value); /* false: refused */
    const char *wants; /* completes "'x' is not ..." */
    const char *help;
};

enum { OPTION_SPECS = OPTION_HELP + 1 }; /* help is the last id */
extern const struct option_spec option_specs[OPTION_SPECS];

#endif
