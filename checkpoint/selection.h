/* SPDX-License-Identifier: Apache-2.0 */
/* Which names the patterns of the options choose. */
#ifndef CHECKPOINT_SELECTION_H
#define CHECKPOINT_SELECTION_H

#include "checkpoint/options.h"
#include "files/table.h"

enum selection {
    SELECTION_DEFAULT,  /* no pattern speaks of it: the rules decide */
    SELECTION_INCLUDED, /* by an include pattern: a layer where its form allows */
    SELECTION_EXCLUDED, /* by an exclude pattern, or matched by no include pattern */
};

/* Does one of the patterns match? */
bool patterns_match(const struct name_patterns *patterns, const char *name);

enum selection selection_of(const struct checkpoint_options *options, const char *name);

/* The first pattern that matches no tensor of any of the tables (NULL entries are
 * skipped), or NULL. A pattern that matches nothing is an error of the caller. */
const char *selection_unused(const struct checkpoint_options *options,
                             const struct tensor_table *const *tables, size_t count);

#endif
