/* SPDX-License-Identifier: Apache-2.0 */
/* Options for writing a folder. */
#ifndef FILES_FOLDER_OPTIONS_H
#define FILES_FOLDER_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* A file that is copied into the folder; a link is followed. */
struct folder_copy {
    const char *from; /* its path */
    const char *name; /* in the folder */
};

/* A small file that is written into the folder as given, config.json for example. */
struct folder_text {
    const char *name;
    const void *bytes;
    uint64_t count;
};

struct folder_options {
    uint64_t shard_bytes_max; /* of the tensors of one shard, 0 = 5,000,000,000; a larger
                                 tensor has a shard of its own */
    const struct folder_copy *copies;
    size_t copy_count;
    const struct folder_text *texts;
    size_t text_count;
};

#endif
