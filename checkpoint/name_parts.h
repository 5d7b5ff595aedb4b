/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a tensor's name, which are separated by dots, or by slashes as Flax and T5X write
 * them. */
#ifndef CHECKPOINT_NAME_PARTS_H
#define CHECKPOINT_NAME_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "files/table.h"

/* The last part of a name, as packings and their readers name tensors: behind its last dot, or
 * the whole name. A slash ends no part here; in name_split it does. Lies within `name`. */
const char *name_leaf(const char *name);

/* Does the name have this ending, or is it the whole name? */
bool name_ends_with(const char *name, const char *ending);

/* The leaves that are asked for have up to 31 bytes. */
enum { NAME_BESIDE_BYTES = FILES_NAME_BYTES_MAX + 32 };

/* The name of a tensor of the same module: `name` with another leaf. */
void name_beside(const char *name, const char *leaf, char beside[NAME_BESIDE_BYTES]);

struct name {
    char parts[FILES_NAME_BYTES_MAX + 2]; /* the parts, a NUL after each */
    size_t bytes;
    const char *leaf;   /* the last part */
    const char *module; /* the part that says to what the tensor belongs */
};

void name_split(struct name *name, const char *text);

/* Does the part match one of the patterns (of a shell, in any case; NULL ends them)? */
bool part_matches(const char *part, const char *const *patterns);

/* Does any part of the name? */
bool name_has_part(const struct name *name, const char *const *patterns);

/* Does any part that says what the tensor is? Where a numbered block (layers.0, or layers_0) is
 * followed by two names or more before the parameter, those before the block only name a part of
 * the model. */
bool name_has_near_part(const struct name *name, const char *const *patterns);

/* The part before `part`, or `part` itself if it is the first. */
const char *name_part_before(const struct name *name, const char *part);

/* The module, also where Flax calls its parameter "embedding": wpe.embedding. */
const char *name_embedder(const struct name *name);

/* Is the last part that of a module's weight: weight, kernel, w, ...? */
bool name_is_weight(const struct name *name);

/* The first numbered block of a name, by bytes of the name: in model.layers.7.mlp.up.weight
 * `prefix` precede its number, `rest` bytes the dot behind it, and the module ends at `end`. */
struct name_block {
    size_t prefix, rest, end;
    uint64_t number;
};

/* False: the name has no number, or only in the parameter and its module. */
bool name_block_of(const struct name *name, struct name_block *block);

#endif
