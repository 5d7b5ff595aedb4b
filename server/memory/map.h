/* SPDX-License-Identifier: Apache-2.0 */
/* Maps a file that another process shares, if that is safe. */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include <stdint.h>

#include "base/status.h"

/* The first `bytes` bytes of the file, for reading and writing. INVALID_ARGUMENT: it is not a
 * sealed file of memfd_create with so many allocated bytes (memory.h says why it must be).
 * RESOURCE_EXHAUSTED: the system cannot map it. Undo with munmap. */
int map_file(int fd, uint64_t bytes, uint8_t **out, struct failure *failure);

#endif
