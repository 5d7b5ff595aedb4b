/* SPDX-License-Identifier: Apache-2.0 */
/* Names as they are compared: without the prefixes that options.strip_prefixes lists, and
 * those of the claim renamed by options.renames. */
#ifndef CHECKPOINT_RENAME_H
#define CHECKPOINT_RENAME_H

#include "checkpoint/options.h"
#include "files/table.h"

/* A rename "OLD=NEW" that makes sense: one '=', OLD not empty, no more '*' in NEW than in
 * OLD. */
bool rename_is_valid(const char *rule);

/* Does OLD match the name? '*' stands for any text, also none; all else for itself. */
bool rename_matches(const char *rule, const char *name);

/* The first rename that matches no name of the table, or prefix that begins none of either
 * table (`second` may be NULL); NULL: all are used. */
const char *rename_unused(const struct checkpoint_options *options,
                          const struct tensor_table *claim,
                          const struct tensor_table *latents);

/* The names of a table as they are compared, findable. */
struct compared_names {
    struct compared_name {
        const char *name;
        size_t index; /* in the table */
    } * sorted;
    const char **names; /* by index */
    size_t count;
    struct arena strings;
};

/* `renames`: apply those too (of the claim). INVALID_ARGUMENT where two tensors of the
 * table get one name, or a name becomes empty or too long. compared_names_fini is due in either
 * case. */
int compared_names_init(struct compared_names *names,
                        const struct checkpoint_options *options, bool renames,
                        const struct tensor_table *table, struct failure *failure);
void compared_names_fini(struct compared_names *names); /* harmless on a zeroed one */

/* Index of the tensor that is compared under this name, or SIZE_MAX. */
size_t compared_names_find(const struct compared_names *names, const char *name);

#endif
