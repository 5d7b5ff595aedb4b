/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is that is neither safetensors nor .npy: people give such files by mistake,
 * and the message should say what they gave. */
#ifndef FILES_IDENTIFY_H
#define FILES_IDENTIFY_H

#include "files/source.h"

enum { IDENTITY_BYTES = 256 }; /* of the text, with the NUL */

/* Looks at the file's first and last few thousand bytes. Returns 1 and fills `text` with
 * a predicate, as in "is a Git LFS pointer to 1234 bytes: run git lfs pull"; 0 where the
 * file is of no known kind; -1 where it cannot be read. The text holds printable ASCII
 * only. */
int identify_source(struct source *source, char text[IDENTITY_BYTES],
                    struct failure *failure);

/* Fails with INVALID_ARGUMENT and "it is ..."; with the source's own failure where it
 * cannot be read. Returns -1. */
int fail_unknown_format(struct source *source, struct failure *failure);

#endif
