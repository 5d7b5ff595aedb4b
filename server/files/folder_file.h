/* SPDX-License-Identifier: Apache-2.0 */
/* One file inside a folder that is being written. Failures name the file. */
#ifndef FILES_FOLDER_FILE_H
#define FILES_FOLDER_FILE_H

#include <stdint.h>

#include "base/status.h"

/* `folder` is a descriptor. The name must be free. Returns the file's descriptor, or
 * -1. Permissions follow the umask. */
int folder_file_create(int folder, const char *name, struct failure *failure);

/* The same for a file that may be there, of which the first `bytes` stay. */
int folder_file_reopen(int folder, const char *name, uint64_t bytes,
                       struct failure *failure);

/* How large the file will be. RESOURCE_EXHAUSTED: the disk has no space for it. */
int folder_file_reserve(int fd, const char *name, uint64_t bytes,
                        struct failure *failure);

int folder_file_write(int fd, const char *name, uint64_t offset, const void *data,
                      uint64_t count, struct failure *failure);

/* Bytes of a file that is there. -1: it has less, or cannot be read. */
int folder_file_read(int folder, const char *name, uint64_t offset, void *buffer,
                     uint64_t count, struct failure *failure);

/* Flushes the file to the disk and closes it, in any case. */
int folder_file_finish(int fd, const char *name, struct failure *failure);

/* Writes a complete file with these bytes. */
int folder_file_put(int folder, const char *name, const void *bytes, uint64_t count,
                    struct failure *failure);

/* Copies the file `from`, which may be a link to a regular file. */
int folder_file_copy(int folder, const char *name, const char *from,
                     struct failure *failure);

#endif
