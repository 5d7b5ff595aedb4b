/* SPDX-License-Identifier: Apache-2.0 */
/* What the tensors of a checkpoint are. */
#ifndef DRIVE_INSPECT_H
#define DRIVE_INSPECT_H

#include "checkpoint/contents.h"
#include "files/reader.h"

struct json_t;

/* {file, format, metadata, tensors: [...]}: docs/json.md. NULL: memory ran out. */
struct json_t *inspect_json(const char *file, const struct reader *reader,
                            const struct contents *contents);

#endif
