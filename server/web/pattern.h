/* SPDX-License-Identifier: Apache-2.0 */
/* Names of layers: which ones a text selects, and the order in which people read them. */
#ifndef WEB_PATTERN_H
#define WEB_PATTERN_H

#include <stdbool.h>

/* Whether the text has a `*` or `?`. */
bool pattern_is_wild(const char *pattern);

/* `*` stands for any bytes, `?` for one; the time is at most the product of the lengths. */
bool pattern_matches(const char *pattern, const char *name);

/* What a person types to filter: a pattern, or a part of the name. */
bool pattern_filters(const char *filter, const char *name);

/* Compares as strcmp does, but digits by their value: layers.2 before layers.10. */
int natural_compare(const char *a, const char *b);

#endif
