/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_CONFIG_TEXT_H
#define APP_CONFIG_TEXT_H

#include "base/status.h"

/* Reads the file of --config, malloc'ed and NUL-terminated. INVALID_ARGUMENT: it cannot be
 * read, or is larger than 64 KiB. */
int config_text_read(char **text, const char *path, struct failure *failure);

#endif
