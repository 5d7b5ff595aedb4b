/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, parsed: one table of options for all commands; a command
 * says by a bit mask which of them it takes. */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include <stdio.h>

#include "client/cli/options.h"

/* Parses argv[0..argc), without the command's name. `--name=value`, `--name
 * value`, `-xvalue`, `-x value`; `--` ends the options. Returns 0, or -1 with a
 * sentence in `error`. */
int options_parse(struct options *options, option_bits accepted, int argc,
                  char *const *argv, char error[OPTION_ERROR_BYTES]);

/* The options that concern a checkpoint. Borrows their strings. */
struct checkpoint_options options_checkpoint(const struct options *options);

/* Writes the lines of --help for the accepted options. */
void options_help(option_bits accepted, FILE *out);

#endif
