/* SPDX-License-Identifier: Apache-2.0 */
/* Injects failures: the nth allocation or system call from now on fails. Link
 * with -Wl,--wrap=<function> for each function that should fail (one line in
 * tests/unit/<module>/LDFLAGS); possible are: malloc, calloc, realloc,
 * aligned_alloc, posix_memalign, strdup, strndup, open_memstream, mmap,
 * pthread_create, write, fsync, fdatasync. Only calls from statically linked
 * objects are seen. Add -Wl,-u,fault_arm, so that a test without faults has the
 * wrappers that libgcov calls.
 *
 *   for (uint64_t n = 1;; n++) {
 *       fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
 *       result = operation();
 *       if (!fault_disarm())
 *           break;             // n is past the last use: it succeeded
 *       ... result is a failure, and nothing leaked ...
 *   } */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What fails; may be or-ed. */
enum fault_kind {
    FAULT_MEMORY = 1, /* malloc and its kin: NULL, ENOMEM */
    FAULT_MAP = 2,    /* mmap: MAP_FAILED, ENOMEM */
    FAULT_THREAD = 4, /* pthread_create: EAGAIN */
    FAULT_WRITE = 8,  /* write: ENOSPC; fsync, fdatasync: EIO */
};

enum fault_mode {
    FAULT_ONCE,   /* the nth use alone */
    FAULT_STICKY, /* the nth and every one after it */
};

/* `nth` counts from 1, over all kinds in `kinds` and all threads. Any thread may
 * hit it; arm and disarm belong to one. */
void fault_arm(unsigned kinds, uint64_t nth, enum fault_mode mode);

/* Everything works again. True when something was made to fail. */
bool fault_disarm(void);

/* For libraries with their own allocator hooks (uv_replace_allocator): these
 * obey FAULT_MEMORY without --wrap. */
void *fault_malloc(size_t bytes);
void *fault_calloc(size_t count, size_t bytes);
void *fault_realloc(void *old, size_t bytes);

#endif
