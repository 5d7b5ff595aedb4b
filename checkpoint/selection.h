/* SPDX-License-Identifier: Apache-2.0 */
/* Applies the include and exclude patterns of the options to names. */
#ifndef CHECKPOINT_SELECTION_H
#define CHECKPOINT_SELECTION_H

#include "checkpoint/options.h"
#include "files/table.h"

enum selection {
    SELECTION_DEFAULT,  /* there are no patterns for it: the rules decide */
    SELECTION_INCLUDED, /* by an include pattern: a layer if its form allows it */
    SELECTION_EXCLUDED, /* by an exclude pattern, or matched by no include pattern */
};

/* Does one of the patterns match? */
bool patterns_match(const struct name_patterns *patterns, const char *name);

enum selection selection_of(const struct checkpoint_options *options, const char *name);

/* The first pattern that matches no tensor of any of the tables (NULL entries are
 * skipped). NULL: all match. The caller should refuse a pattern that matches nothing. */
const char *selection_unused(const struct checkpoint_options *options,
                             const struct tensor_table *const *tables, size_t count);

#endif
