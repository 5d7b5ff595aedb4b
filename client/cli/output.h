/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of -o, the same for every command that writes a file. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "client/cli/cli.h"
#include "files/writer.h"

/* DONE, or USAGE after complaining: of "-", of a name that says another format, of an
 * existing file without --force, and always of `input` itself (by whatever name; NULL:
 * there is none). Reads and writes nothing. */
enum exit_code output_check(const char *command, const struct options *options,
                            const char *input);

/* With --force what is there is replaced. */
enum target_mode output_mode(const struct options *options);

#endif
