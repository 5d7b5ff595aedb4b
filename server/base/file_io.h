/* SPDX-License-Identifier: Apache-2.0 */
/* The loops that move all bytes of a file or a pipe. */
#ifndef BASE_FILE_IO_H
#define BASE_FILE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Writes all these bytes of a file, and has the system begin to write long runs to the disk.
 * Returns -1 and errno; then any part of them may be written. */
int write_at(int fd, uint64_t offset, const void *data, uint64_t count);

/* Reads up to `count` bytes, fewer only at the end; a pipe gives them in pieces. Returns how many,
 * or -1 and errno. */
ssize_t read_fully(int fd, char *bytes, size_t count);

#endif
