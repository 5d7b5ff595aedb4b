/* SPDX-License-Identifier: Apache-2.0 */
/* Text from files and from the network, made harmless for a terminal: control
 * characters, bidirectional overrides, invisible characters and broken UTF-8
 * come out as \xNN or \u{NNNN}; the rest as it is. */
#ifndef CLI_ESCAPE_H
#define CLI_ESCAPE_H

#include <stddef.h>

/* Always NUL-terminated, cut between characters where `bytes` is too small.
 * Returns the columns it takes, every character counted as one. */
size_t escape_text(char *out, size_t bytes, const char *text);

#endif
