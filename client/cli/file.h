/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint that a command reads: the file, its options, and what they say. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include "client/cli/cli.h"
#include "drive/side.h"

/* Opens a file, a folder or an index; obeys --npy-bf16. Complains and returns FAILED if
 * it cannot be read. A malformed config.json is an error in a folder. In the folder of a
 * single file it may belong to something else, and is ignored. */
enum exit_code input_open(struct input *input, const char *path,
                          const struct options *options);

/* The same for a file that may be shorter than its header says; the reader's notes
 * say so. */
enum exit_code input_open_damaged(struct input *input, const char *path,
                                  const struct options *options);

/* What the options and the config.json say of the checkpoint; borrows both. */
struct checkpoint_options input_options(const struct input *input,
                                        const struct options *options);

/* Complains of each contradiction between index and shards. Returns MISMATCH if one of
 * them is an error, else DONE. */
enum exit_code input_check(const struct input *input, const char *path);

/* Opens a checkpoint and reads it as the options and its own record say. Complains and
 * returns another code than DONE if it cannot be read or does not agree with the options.
 * side_close is due in either case. */
enum exit_code side_open(struct side *side, const char *command, const char *path,
                         const struct options *options);

/* Complains and returns USAGE if a pattern of the options matches no tensor of the files
 * (`second` NULL: there is only one), or if the encoding does not support the group
 * size. */
enum exit_code file_check_options(const char *command, const struct options *options,
                                  const struct layer_terms *terms,
                                  const struct reader *first,
                                  const struct reader *second);

/* Reports are stored under names of 1 to TRIT_NAME_BYTES_MAX bytes. With --run, complains of
 * each layer whose name is empty or longer, and returns FAILED if there is one. */
enum exit_code file_check_names(const char *command, const struct options *options,
                                const struct contents *contents);

/* Prints the tensors that may have been taken for layers and are none (others_json), one
 * line each. */
void file_print_others(const struct contents *contents);

/* Prints a summary: a line for the layers of each packing of another program, and one for
 * each reason why tensors are kept, with their shares of `parameters`. */
void file_print_kept(const struct contents *contents, uint64_t parameters);

#endif
