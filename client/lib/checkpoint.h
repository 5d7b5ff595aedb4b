/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls about checkpoints share: the table, options as the module checkpoint
 * takes them, results as JSON. */
#ifndef LIB_CHECKPOINT_H
#define LIB_CHECKPOINT_H

#include <trit.h>

#include "checkpoint/contents.h"
#include "checkpoint/json.h"
#include "client/lib/sized.h"

struct json_t;

struct trit_checkpoint {
    struct tensor_table table;
    bool sealed; /* used by a call: nothing more can be added */
};

/* The caller's options, complete whatever version the caller was built with. */
struct options_given {
    struct trit_checkpoint_options all;
    struct checkpoint_options rules; /* the same for the module checkpoint */
};

/* `given` NULL: the defaults. INVALID_ARGUMENT where the options make no sense. */
int options_take(const struct trit_checkpoint_options *given,
                 struct options_given *options, struct failure *failure);

/* INVALID_ARGUMENT where a pattern matches no tensor of either table (`second` may be
 * NULL). */
int options_check_patterns(const struct checkpoint_options *rules,
                           const struct tensor_table *first,
                           const struct tensor_table *second, struct failure *failure);

/* Makes the table's tensors findable; from then on it stays as it is. */
int checkpoint_seal(struct trit_checkpoint *checkpoint, struct failure *failure);

/* Index of a tensor, or NOT_FOUND. */
int checkpoint_find(const struct tensor_table *table, const char *name, size_t *index,
                    struct failure *failure);

/* ---- JSON ----------------------------------------------------------------------- */

/* Gives the text of `json` (NULL: memory ran out) and releases it. */
int json_give(struct json_t *json, char **text, struct failure *failure);

#endif
