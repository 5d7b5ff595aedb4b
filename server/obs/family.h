/* SPDX-License-Identifier: Apache-2.0 */
/* Inside obs: pieces of the text of metrics. */
#ifndef OBS_FAMILY_H
#define OBS_FAMILY_H

#include <stdbool.h>
#include <stdio.h>

struct exposition {
    FILE *out;
    bool openmetrics;
};

/* The head of a family; `name` is that of the samples. */
void put_family(const struct exposition *to, const char *name, const char *type,
                const char *help);

/* A label's value, without its quotes. */
void put_escaped(const struct exposition *to, const char *text);

#endif
