/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of -o, the same for every command that writes a file. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "checkpoint/plan.h"
#include "client/cli/file.h"
#include "files/writer.h"

/* Returns DONE, or complains and returns USAGE: for "-", for a name with the ending of
 * another format, for an existing file without --force, and always for `input` itself,
 * under any name (NULL: there is no input). Reads and writes nothing. */
enum exit_code output_check(const char *command, const struct options *options,
                            const char *input);

/* The same for a file of text, whatever its name. */
enum exit_code output_check_text(const char *command, const struct options *options,
                                 const char *input);

/* Opens the output of a plan: a file, or a folder that gets the input's config.json and
 * its other small files, tokenizer and all. */
int output_open(struct writer **writer, const struct options *options,
                const struct input *input, struct plan *plan, struct failure *failure);

/* Complains that the plan cannot be made one of the output. USAGE: of such a one, FAILED: the
 * input's small files cannot be read. */
enum exit_code output_refused(const struct options *options,
                              const struct failure *failure);

/* TARGET_REPLACE with --force, else TARGET_NEW. */
enum target_mode output_mode(const struct options *options);

/* The exit code of a run that failed: USAGE if the output may not be called so. */
enum exit_code output_failed(const struct failure *failure);

#endif
