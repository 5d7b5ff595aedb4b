/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the files in a zip archive that are stored without compression, as Keras stores them. */
#ifndef FILES_ZIP_H
#define FILES_ZIP_H

#include "files/source.h"

struct zip_member {
    uint64_t offset, bytes; /* in the source */
};

/* 1: found; 0: the archive has no member of this name. INVALID_ARGUMENT: the archive is
 * malformed, has two of them, or the member is compressed or encrypted. `bytes_max`: of the
 * archive's directory. */
int zip_find(struct source *source, const char *name, uint64_t bytes_max,
             struct zip_member *member, struct failure *failure);

#endif
