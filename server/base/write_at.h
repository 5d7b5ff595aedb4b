/* SPDX-License-Identifier: Apache-2.0 */
/* The one loop that writes to files: in pieces that the page cache takes well. */
#ifndef BASE_WRITE_AT_H
#define BASE_WRITE_AT_H

#include <stdint.h>

/* Writes all these bytes of a file, and has the system begin to write long runs to the disk.
 * Returns -1 and errno; then any part of them may be written. */
int write_at(int fd, uint64_t offset, const void *data, uint64_t count);

#endif
