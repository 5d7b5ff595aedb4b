/* SPDX-License-Identifier: Apache-2.0 */
/* --report FILE: what a command found, for a release page. The file's ending says how:
 * .md (verdict, findings and a table of layers), .csv (a row for each layer, the verdict
 * in a column of its own), .json (as --json prints it). */
#ifndef CLI_REPORT_FILE_H
#define CLI_REPORT_FILE_H

#include "client/cli/cli.h"

struct json_t;

/* DONE, or USAGE after complaining: the ending is none of these, or the file exists and
 * --force is not given. Without --report there is nothing to check. */
enum exit_code report_file_check(const char *command, const struct options *options);

/* Writes the file, where --report is given. `result`: the command's JSON. Its name never
 * shows half of it. Complains and returns FAILED where it cannot be written. */
enum exit_code report_file_write(const char *command, const struct options *options,
                                 const struct json_t *result);

#endif
