/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the calls about checkpoints: the table, options for the checkpoint module,
 * results as JSON. */
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
    bool sealed;                      /* used by a call; nothing more can be added */
    const struct reader *reader;      /* borrowed; NULL: the caller's own table */
    struct model_config config;       /* of the file */
    bool has_config;
};

/* Adds the findings about the file's index and shards. The second function is for the file that
 * is verified, the first for its latents (checkpoint/notes.h). */
void checkpoint_add_notes(const struct trit_checkpoint *checkpoint,
                          struct file_findings *findings);
void checkpoint_add_notes_of_claim(const struct trit_checkpoint *checkpoint,
                                   struct file_findings *findings);

/* Is the tensor named after the file, because the format stores no name (.npy)? */
bool checkpoint_is_nameless(const struct trit_checkpoint *checkpoint);

/* The caller's options, with all members whatever version the caller was built with. */
struct options_given {
    struct trit_checkpoint_options all;
    struct checkpoint_options rules; /* the same for the checkpoint module */
    struct model_config config;      /* of the options */
};

/* `given` NULL: the defaults. INVALID_ARGUMENT: the options are invalid. The rules use
 * the config of the options, else that of the checkpoint, else none; *options must not
 * move. */
int options_take(const struct trit_checkpoint_options *given,
                 const struct trit_checkpoint *checkpoint, struct options_given *options,
                 struct failure *failure);
void options_drop(struct options_given *options); /* harmless on a zeroed one */

/* INVALID_ARGUMENT: a pattern matches no tensor of either table (`second` may be NULL),
 * or names are to be changed but there are no latents to compare them with. */
int options_check_patterns(const struct checkpoint_options *rules,
                           const struct tensor_table *first,
                           const struct tensor_table *second, struct failure *failure);

/* Sorts the table so that tensors can be found; it cannot change afterwards. */
int checkpoint_seal(struct trit_checkpoint *checkpoint, struct failure *failure);

/* Index of a tensor, or NOT_FOUND. */
int checkpoint_find(const struct tensor_table *table, const char *name, size_t *index,
                    struct failure *failure);

/* ---- JSON ----------------------------------------------------------------------- */

/* Gives the text of `json` (NULL: memory ran out) and releases it. */
int json_give(struct json_t *json, char **text, struct failure *failure);

/* Sets {name, dtype} of a tensor, or nothing for CONTENT_NONE; false if memory ran out.
 * */
bool json_put_tensor(struct json_t *object, const char *key,
                     const struct tensor_table *table, size_t index);

/* The findings about the index and its shards; NULL if memory ran out. */
struct json_t *notes_json(const struct trit_checkpoint *checkpoint);

#endif
