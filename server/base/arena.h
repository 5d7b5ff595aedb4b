/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations that are freed together, such as those of a call. One thread at a time.
 * Under AddressSanitizer every allocation is a malloc of its own, so that overruns are
 * detected. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t bytes_used;
    size_t bytes_max;
};

void arena_init(struct arena *arena, size_t bytes_max);
void arena_fini(struct arena *arena);

/* Zeroed and aligned for any type. NULL: out of memory, or above bytes_max. */
void *arena_alloc(struct arena *arena, size_t bytes);

/* A NUL-terminated copy of at most `bytes` bytes. NULL as above. */
char *arena_strndup(struct arena *arena, const char *text, size_t bytes);

#endif
