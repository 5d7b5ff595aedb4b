/* SPDX-License-Identifier: Apache-2.0 */
/* Identifies files that are neither safetensors, GGUF nor .npy, for the message that refuses
 * them. */
#ifndef FILES_IDENTIFY_H
#define FILES_IDENTIFY_H

#include "files/source.h"

enum { IDENTITY_BYTES = 256 }; /* of the text, with the NUL */

/* Looks at the file's first and last few thousand bytes. Returns 1 and fills `text` with
 * a predicate in printable ASCII, such as "is a Git LFS pointer to 1234 bytes: run git
 * lfs pull"; 0 if the kind is unknown; -1 if the file cannot be read. */
int identify_source(struct source *source, char text[IDENTITY_BYTES],
                    struct failure *failure);

/* Fails with INVALID_ARGUMENT and "it is ...", or with the source's own failure if the
 * file cannot be read. Returns -1. */
int fail_unknown_format(struct source *source, struct failure *failure);

#endif
