/* SPDX-License-Identifier: Apache-2.0 */
/* Tells an output that is complete from whatever else has its name. An output has a mark
 * before it has its name, and keeps it when it gets that: renaming changes neither part. */
#ifndef FILES_OUTPUT_MARK_H
#define FILES_OUTPUT_MARK_H

#include <stdbool.h>
#include <stdint.h>

struct output_mark {
    uint64_t inode;      /* 0: of no output */
    int64_t modified_ns; /* Unix time: of the bytes of a file, of the names in a folder */
};

/* The mark of an open file or folder. -1: errno. */
int output_mark_of(struct output_mark *mark, int fd);

/* Does the path name the output that has the mark? A link is not followed. */
bool output_mark_is_at(const struct output_mark *mark, const char *path);

#endif
