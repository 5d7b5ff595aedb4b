/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint that is read: the file or folder, and its config.json. */
#ifndef DRIVE_INPUT_H
#define DRIVE_INPUT_H

#include "checkpoint/config.h"
#include "checkpoint/contents.h"
#include "files/reader.h"

struct json_t;

struct input {
    struct reader *reader;
    struct model_config config;
    bool has_config;
};

/* Opens a file, a folder or an index. A malformed config.json is an error in a folder. In
 * the folder of a single file it may belong to something else, and is ignored. */
int input_read(struct input *input, const char *path, const struct read_options *options,
               struct failure *failure);
void input_close(struct input *input); /* harmless on a zeroed one */

/* The tensor of a .npy file is named after the file. */
bool input_is_array(const struct input *input);

/* INVALID_ARGUMENT: a pattern of the options matches no tensor of the files, the first of
 * which is called `name` in messages (`second` NULL: there is only one), or the encoding does
 * not support the group size. */
int input_check_options(const char *name, const struct checkpoint_options *rules,
                        const struct layer_terms *terms, const struct reader *first,
                        const struct reader *second, struct failure *failure);

/* Tensors of at least this rank could be layers, so results list those that are not. */
enum { INPUT_RANK_LISTED = 2 };
bool content_is_listed(const struct contents *contents, size_t index);

/* [{name, dtype, shape, parameters, what}] of the tensors of that rank that are not
 * layers. NULL: memory ran out. */
struct json_t *others_json(const struct contents *contents);

/* A report in a result: as proto/report_json.h has it, with the verdict. */
struct json_t *layer_report_json(const struct trit_report *report);

#endif
