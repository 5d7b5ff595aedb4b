/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static _Atomic unsigned armed_kinds; /* 0 = nothing fails */
static _Atomic int64_t uses_left;
static _Atomic int sticky;
static _Atomic int fired;

void fault_arm(unsigned kinds, uint64_t nth, enum fault_mode mode)
{
    atomic_store(&uses_left, (int64_t)nth);
    atomic_store(&sticky, mode == FAULT_STICKY);
    atomic_store(&fired, 0);
    atomic_store(&armed_kinds, kinds);
}

bool fault_disarm(void)
{
    atomic_store(&armed_kinds, 0);
    return atomic_load(&fired);
}

static bool fails(enum fault_kind kind)
{
    int64_t left;

    if (!(atomic_load(&armed_kinds) & (unsigned)kind))
        return false;
    left = atomic_fetch_sub(&uses_left, 1) - 1;
    if (left > 0 || (left < 0 && !atomic_load(&sticky)))
        return false;
    atomic_store(&fired, 1);
    return true;
}

static bool fails_with(enum fault_kind kind, int code)
{
    if (!fails(kind))
        return false;
    errno = code;
    return true;
}

/* The linker defines __real_x where --wrap=x was given, and leaves it null
 * elsewhere: then nothing calls __wrap_x either. */
#define WEAK __attribute__((weak))
WEAK void *__real_malloc(size_t bytes);
WEAK void *__real_calloc(size_t count, size_t bytes);
WEAK void *__real_realloc(void *old, size_t bytes);
WEAK void *__real_aligned_alloc(size_t alignment, size_t bytes);
WEAK int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
WEAK char *__real_strdup(const char *text);
WEAK char *__real_strndup(const char *text, size_t bytes);
WEAK FILE *__real_open_memstream(char **text, size_t *bytes);
WEAK void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd,
                       off_t offset);
WEAK int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                               void *(*run)(void *), void *arg);
WEAK ssize_t __real_write(int fd, const void *bytes, size_t count);
WEAK int __real_fsync(int fd);
WEAK int __real_fdatasync(int fd);
#undef WEAK

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);
FILE *__wrap_open_memstream(char **text, size_t *bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd,
                  off_t offset);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

void *fault_malloc(size_t bytes)
{
    if (fails_with(FAULT_MEMORY, ENOMEM))
        return NULL;
    return __real_malloc ? __real_malloc(bytes) : malloc(bytes);
}

void *fault_calloc(size_t count, size_t bytes)
{
    if (fails_with(FAULT_MEMORY, ENOMEM))
        return NULL;
    return __real_calloc ? __real_calloc(count, bytes) : calloc(count, bytes);
}

void *fault_realloc(void *old, size_t bytes)
{
    if (fails_with(FAULT_MEMORY, ENOMEM))
        return NULL;
    return __real_realloc ? __real_realloc(old, bytes) : realloc(old, bytes);
}

void *__wrap_malloc(size_t bytes)
{
    return fault_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fault_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fault_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails_with(FAULT_MEMORY, ENOMEM) ? NULL
                                            : __real_aligned_alloc(alignment, bytes);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes)
{
    return fails(FAULT_MEMORY) ? ENOMEM : __real_posix_memalign(out, alignment, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails_with(FAULT_MEMORY, ENOMEM) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t bytes)
{
    return fails_with(FAULT_MEMORY, ENOMEM) ? NULL : __real_strndup(text, bytes);
}

FILE *__wrap_open_memstream(char **text, size_t *bytes)
{
    return fails_with(FAULT_MEMORY, ENOMEM) ? NULL : __real_open_memstream(text, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return fails_with(FAULT_MAP, ENOMEM)
               ? MAP_FAILED
               : __real_mmap(at, bytes, protection, flags, fd, offset);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg)
{
    return fails(FAULT_THREAD) ? EAGAIN
                               : __real_pthread_create(thread, attributes, run, arg);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    return fails_with(FAULT_WRITE, ENOSPC) ? -1 : __real_write(fd, bytes, count);
}

int __wrap_fsync(int fd)
{
    return fails_with(FAULT_WRITE, EIO) ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    return fails_with(FAULT_WRITE, EIO) ? -1 : __real_fdatasync(fd);
}
