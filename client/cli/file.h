/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint that a command reads: the file, its options, and what they say. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include "checkpoint/config.h"
#include "checkpoint/contents.h"
#include "client/cli/cli.h"
#include "files/reader.h"

struct json_t;

/* A checkpoint and the config.json beside its weights. */
struct input {
    struct reader *reader;
    struct model_config config;
    bool has_config;
};

/* Opens a file, a folder or an index by --npy-bf16; complains and returns FAILED where it
 * cannot be read. A config.json that makes no sense is an error in a folder; beside a
 * single file it may belong to something else and is left alone. */
enum exit_code input_open(struct input *input, const char *path,
                          const struct options *options);
void input_close(struct input *input); /* harmless on a zeroed one */

/* What the options and the config.json say of the checkpoint; borrows both. */
struct checkpoint_options input_options(const struct input *input,
                                        const struct options *options);

/* Complains of each contradiction between index and shards. Returns MISMATCH where one of
 * them is an error, else DONE. */
enum exit_code input_check(const struct input *input, const char *path);

/* USAGE, after complaining, where a pattern of the options matches no tensor of the
 * files (`second` NULL: there is one), or where encoding and group size contradict
 * each other. */
enum exit_code file_check_options(const char *command, const struct options *options,
                                  const struct layer_terms *terms,
                                  const struct reader *first,
                                  const struct reader *second);

/* The rank from which on a tensor could be a layer, so that what became of it is told. */
enum { FILE_RANK_TOLD = 2 };

/* [{name, dtype, shape, parameters, what}] of the tensors that are told and are no
 * layers; NULL on lack of memory. */
struct json_t *file_others_json(const struct contents *contents);

/* The same for a person: a line each. */
void file_print_others(const struct contents *contents);

/* The same in short: a line for each reason, with its share of `parameters`. */
void file_print_kept(const struct contents *contents, uint64_t parameters);

#endif
