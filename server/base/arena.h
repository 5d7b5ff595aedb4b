/* What lives as long as a call: allocations that all die together. One thread
 * at a time. Under AddressSanitizer every allocation is its own malloc, so that
 * overruns are seen. */
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

/* Zeroed, aligned for any type. NULL when memory or bytes_max is exhausted. */
void *arena_alloc(struct arena *arena, size_t bytes);

/* A NUL-terminated copy. NULL as above. */
char *arena_strndup(struct arena *arena, const char *text, size_t bytes);

#endif
