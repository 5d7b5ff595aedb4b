/* SPDX-License-Identifier: Apache-2.0 */
/* Maps a file that another process shares, if that is safe. */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Whether the system may have no page for a hole that the owner of a file makes. It is so
 * under strict overcommit, mode 2 of this file (/proc/sys/vm/overcommit_memory). */
bool map_pages_can_run_out(const char *overcommit);

/* The first `bytes` bytes of the file, for reading and writing. INVALID_ARGUMENT: it is not a
 * sealed file of memfd_create with so many allocated bytes (memory.h says why it must be).
 * FAILED_PRECONDITION: its pages can run out. RESOURCE_EXHAUSTED: the system cannot map it. Undo with munmap. */
int map_file(int fd, uint64_t bytes, uint8_t **out, struct failure *failure);

#endif
