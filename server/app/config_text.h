/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_CONFIG_TEXT_H
#define APP_CONFIG_TEXT_H

#include "base/status.h"

/* Reads the file of --config, malloc'ed and NUL-terminated. INVALID_ARGUMENT: it cannot be
 * read, is larger than 64 KiB, or has a NUL byte, behind which nothing would count. */
int config_text_read(char **text, const char *path, struct failure *failure);

/* May a running daemon read the file of --config (NULL: none) again? INVALID_ARGUMENT: it is
 * a pipe. To open it would block the daemon until a writer opens it. */
int config_text_check(const char *path, struct failure *failure);

/* Cuts a line into name and value, without the blanks around them. 0: it is empty or a
 * comment. -1: it has no `=`; *name is the line. */
int config_text_split(char *line, char **name, char **value);

#endif
