/* SPDX-License-Identifier: Apache-2.0 */
/* The names under which tensors are compared. llama.cpp's names in a GGUF file become those
 * of transformers (gguf_names.h). The prefixes in options.strip_prefixes are removed from
 * both sides; options.renames then apply to the claim's names. */
#ifndef CHECKPOINT_RENAME_H
#define CHECKPOINT_RENAME_H

#include "checkpoint/options.h"
#include "files/table.h"

/* Is the rename "OLD=NEW" valid? It has one '='; OLD is not empty; NEW has no more '*'
 * than OLD. */
bool rename_is_valid(const char *rule);

/* Does OLD match the name? '*' matches any text, including none; any other character
 * matches itself. */
bool rename_matches(const char *rule, const char *name);

/* The first rename that matches no name of the claim, or the first prefix that no name of
 * either table begins with (`latents` may be NULL). NULL: all are used. */
const char *rename_unused(const struct checkpoint_options *options,
                          const struct tensor_table *claim,
                          const struct tensor_table *latents);

/* The compared names of a table, sorted for searching. */
struct compared_names {
    struct compared_name {
        const char *name;
        size_t index; /* in the table */
    } * sorted;
    const char **names; /* by index */
    size_t count;
    struct arena strings;
};

/* `renames`: apply options.renames too, as for the claim. INVALID_ARGUMENT: two tensors
 * get the same name, or a name becomes empty or too long. Call compared_names_fini also after a
 * failure. */
int compared_names_init(struct compared_names *names,
                        const struct checkpoint_options *options, bool renames,
                        const struct tensor_table *table, struct failure *failure);
void compared_names_fini(struct compared_names *names); /* harmless on a zeroed one */

/* Index of the tensor with this compared name, or SIZE_MAX. */
size_t compared_names_find(const struct compared_names *names, const char *name);

/* Index of PREFIX.experts.NUMBER.REST for the name PREFIX.experts.REST of the tensor that has
 * all experts, or SIZE_MAX. MLX says switch_mlp there; transformers leaves ".weight" out. */
size_t compared_names_expert(const struct compared_names *names, const char *name,
                             uint64_t number);

/* The reverse: index of the tensor that has all experts, for the name of one, whose number it
 * gives; or SIZE_MAX. */
size_t compared_names_experts(const struct compared_names *names, const char *name,
                              uint64_t *number);

#endif
