/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls about checkpoints share: the table, options as the module checkpoint
 * takes them, results as JSON. */
#ifndef LIB_CHECKPOINT_H
#define LIB_CHECKPOINT_H

#include <trit.h>

#include "checkpoint/config.h"
#include "checkpoint/contents.h"
#include "checkpoint/findings.h"
#include "checkpoint/json.h"
#include "client/lib/sized.h"
#include "files/reader.h"

struct json_t;

struct trit_checkpoint {
    struct tensor_table own;
    const struct tensor_table *table; /* `own`, or that of `reader` */
    bool sealed;                      /* used by a call: nothing more can be added */
    const struct reader *reader;      /* borrowed; NULL: the caller's own table */
    struct model_config config;       /* of the file */
    bool has_config;
};

/* Adds what the index of the file and its shards contradict each other in. */
void checkpoint_add_notes(const struct trit_checkpoint *checkpoint,
                          struct file_findings *findings);

/* Is the tensor called as the file, for want of a name (an array's file)? */
bool checkpoint_is_nameless(const struct trit_checkpoint *checkpoint);

/* The caller's options, complete whatever version the caller was built with. */
struct options_given {
    struct trit_checkpoint_options all;
    struct checkpoint_options rules; /* the same for the module checkpoint */
    struct model_config config;      /* of the options */
};

/* `given` NULL: the defaults. INVALID_ARGUMENT where the options make no sense. The rules'
 * config is that of the options, else that of the checkpoint, else NULL; *options must stay
 * where it is. */
int options_take(const struct trit_checkpoint_options *given,
                 const struct trit_checkpoint *checkpoint, struct options_given *options,
                 struct failure *failure);

/* INVALID_ARGUMENT where a pattern matches no tensor of either table (`second` may be
 * NULL), and where names are to be changed that are compared with none. */
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

/* Sets {name, dtype} of a tensor, or nothing for CONTENT_NONE; false without memory. */
bool json_put_tensor(struct json_t *object, const char *key,
                     const struct tensor_table *table, size_t index);

/* The findings about the index and its shards; NULL without memory. */
struct json_t *notes_json(const struct trit_checkpoint *checkpoint);

#endif
