/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as text. The buffer is allocated with the right size, because jansson 2.14's
 * json_dumps drops a key and reports success when it cannot grow its own buffer. */
#ifndef FILES_JSON_TEXT_H
#define FILES_JSON_TEXT_H

#include <stddef.h>

struct json_t;

/* malloc'ed: `bytes` bytes, then a newline, no NUL. `flags` as for json_dumpb. NULL if
 * memory ran out. */
char *json_text(const struct json_t *json, size_t flags, size_t *bytes);

#endif
