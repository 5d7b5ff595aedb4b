/* SPDX-License-Identifier: Apache-2.0 */
/* --report FILE: writes the result of a command to a file. Its ending gives the format:
 * .md (verdict, findings and a table of layers), .csv (a row for each layer, the verdict
 * in a column of its own), .json (as --json prints it). */
#ifndef CLI_REPORT_FILE_H
#define CLI_REPORT_FILE_H

#include "base/status.h"
#include "client/cli/cli.h"

struct json_t;

/* Returns DONE, or complains and returns USAGE: the ending is not one of these, or the
 * file exists and --force is not given. Without --report it returns DONE. */
enum exit_code report_file_check(const char *command, const struct options *options);

/* Writes the file if --report is given. `result` is the command's JSON. The file gets its
 * name only when it is complete. Complains and returns FAILED if it cannot be written. */
enum exit_code report_file_write(const char *command, const struct options *options,
                                 const struct json_t *result);

/* Writes a file that has its name when it is complete. Without `replace` an existing one is
 * ALREADY_EXISTS. */
int text_file_write(const char *path, bool replace, const char *text, size_t bytes,
                    struct failure *failure);

#endif
