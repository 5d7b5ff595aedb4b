/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/selection.h"

#include <fnmatch.h>

bool patterns_match(const struct name_patterns *patterns, const char *name)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (fnmatch(patterns->patterns[i], name, 0) == 0)
            return true;
    return false;
}

enum selection selection_of(const struct checkpoint_options *options, const char *name)
{
    if (patterns_match(&options->exclude, name))
        return SELECTION_EXCLUDED;
    if (options->include.count == 0)
        return SELECTION_DEFAULT;
    return patterns_match(&options->include, name) ? SELECTION_INCLUDED
                                                   : SELECTION_EXCLUDED;
}

static bool matches_some(const char *pattern, const struct tensor_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        if (fnmatch(pattern, table->entries[i].name, 0) == 0)
            return true;
    return false;
}

static const char *unused_of(const struct name_patterns *patterns,
                             const struct tensor_table *const *tables, size_t count)
{
    for (size_t i = 0; i < patterns->count; i++) {
        bool used = false;

        for (size_t t = 0; t < count && !used; t++)
            used = tables[t] && matches_some(patterns->patterns[i], tables[t]);
        if (!used)
            return patterns->patterns[i];
    }
    return NULL;
}

const char *selection_unused(const struct checkpoint_options *options,
                             const struct tensor_table *const *tables, size_t count)
{
    const char *unused = unused_of(&options->include, tables, count);

    if (!unused)
        unused = unused_of(&options->exclude, tables, count);
    return unused ? unused : unused_of(&options->transposed, tables, count);
}
