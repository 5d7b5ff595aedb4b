/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text from files and from the network harmless for a terminal. */
#ifndef CLI_ESCAPE_H
#define CLI_ESCAPE_H

enum { ESCAPED_BYTES = 8192 };

/* utf8_show_text of a path or another text that is printed once. Returns `out`. */
const char *escaped(char out[ESCAPED_BYTES], const char *text);

#endif
