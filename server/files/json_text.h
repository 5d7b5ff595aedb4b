/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as text. jansson 2.14's json_dumps drops a key where its buffer cannot grow and
 * reports success, so a buffer of the right size is given instead. */
#ifndef FILES_JSON_TEXT_H
#define FILES_JSON_TEXT_H

#include <stddef.h>

struct json_t;

/* malloc'ed, with a newline behind its `bytes` bytes and no NUL. `flags` as for
 * json_dumpb. NULL where memory ran out. */
char *json_text(const struct json_t *json, size_t flags, size_t *bytes);

#endif
