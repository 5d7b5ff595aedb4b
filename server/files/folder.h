/* SPDX-License-Identifier: Apache-2.0 */
/* Small files in the folder of a checkpoint: config.json, the index, the tokenizer's
 * files. */
#ifndef FILES_FOLDER_H
#define FILES_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    FOLDER_NAMES_MAX = 1 << 16,        /* largest number of names that is read */
    FOLDER_TEXT_BYTES_MAX = 256 << 20, /* of an index or a configuration */
};

bool folder_is(const char *path); /* a folder, or a link to one */

/* A plain file name: not empty, without '/', neither "." nor "..". */
bool folder_name_is_plain(const char *name);

/* FOLDER/NAME, malloc'ed; NULL on lack of memory. */
char *folder_path(const char *folder, const char *name);

/* The folder that contains `path`, malloc'ed: "." if the path names none. */
char *folder_of(const char *path);

/* The names of the regular files in a folder (links to files too), in order. */
struct folder_names {
    char **names;
    size_t count, capacity;
};

/* RESOURCE_EXHAUSTED above FOLDER_NAMES_MAX. folder_names_fini is due in either case. */
int folder_names_read(struct folder_names *names, const char *folder,
                      struct failure *failure);
/* The same of folders, without . and .. */
int folder_folders_read(struct folder_names *folders, const char *folder,
                        struct failure *failure);
/* The same of links whose file is not there. */
int folder_links_read(struct folder_names *links, const char *folder,
                      struct failure *failure);
void folder_names_fini(struct folder_names *names); /* harmless on a zeroed one */

/* A small file as it was read. */
struct read_text {
    const char *name; /* in its folder */
    char *text;       /* or NULL: there was none */
    size_t bytes;
};

/* Reads a small file, malloc'ed and followed by a NUL. Returns 1; 0 if there is no such
 * file; -1 if it cannot be read, or is a link to a file that is not there. */
int folder_read_text(const char *folder, const char *name, char **text, size_t *bytes,
                     struct failure *failure);

#endif
