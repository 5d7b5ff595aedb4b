/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fault_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    _Atomic unsigned calls; /* 0 = nothing fails */
    _Atomic uint64_t left;
    _Atomic int code;
    _Atomic enum fault_file_mode mode;
    _Atomic bool fired;
} armed;

void fault_file_arm(unsigned calls, uint64_t nth, int code, enum fault_file_mode mode)
{
    armed.left = nth;
    armed.code = code;
    armed.mode = mode;
    armed.fired = false;
    armed.calls = calls;
}

bool fault_file_disarm(void)
{
    armed.calls = 0;
    return armed.fired;
}

/* A use of a call that is held waits here. */
static bool held(enum fault_file_call call)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    if (armed.mode != FAULT_FILE_HOLD)
        return false;
    while (armed.calls & (unsigned)call) {
        armed.fired = true;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool fails(enum fault_file_call call)
{
    if (held(call))
        return false;
    if (!(armed.calls & (unsigned)call) || armed.mode == FAULT_FILE_SHORT ||
        armed.left == 0 || --armed.left > 0)
        return false;
    if (armed.mode == FAULT_FILE_KILL)
        raise(SIGKILL);
    if (armed.mode == FAULT_FILE_EVERY)
        armed.left = 1;
    armed.fired = true;
    errno = armed.code;
    return true;
}

/* How much of `count` a call may move. */
static size_t allowed(enum fault_file_call call, size_t count)
{
    if (!(armed.calls & (unsigned)call) || armed.mode != FAULT_FILE_SHORT || count < 2)
        return count;
    armed.fired = true;
    return 1;
}

#define WEAK __attribute__((weak))
WEAK ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t offset);
WEAK ssize_t __real_pread(int fd, void *bytes, size_t count, off_t offset);
WEAK int __real_openat(int folder, const char *path, int flags, mode_t mode);
WEAK int __real_linkat(int from, const char *path, int to, const char *name, int flags);
WEAK int __real_renameat(int from, const char *path, int to, const char *name);
WEAK int __real_fchmod(int fd, mode_t mode);
WEAK int __real_close(int fd);
WEAK int __real_renameat2(int from, const char *path, int to, const char *name,
                          unsigned flags);
WEAK int __real_mkdirat(int folder, const char *name, mode_t mode);
WEAK int __real_unlinkat(int folder, const char *name, int flags);
WEAK int __real_fstatat(int folder, const char *name, struct stat *out, int flags);
WEAK DIR *__real_fdopendir(int fd);
WEAK int __real_fallocate(int fd, int mode, off_t offset, off_t bytes);
#undef WEAK

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t __wrap_pread(int fd, void *bytes, size_t count, off_t offset);
int __wrap_openat(int folder, const char *path, int flags, mode_t mode);
int __wrap_linkat(int from, const char *path, int to, const char *name, int flags);
int __wrap_renameat(int from, const char *path, int to, const char *name);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_close(int fd);
int __wrap_renameat2(int from, const char *path, int to, const char *name,
                     unsigned flags);
int __wrap_mkdirat(int folder, const char *name, mode_t mode);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __wrap_fstatat(int folder, const char *name, struct stat *out, int flags);
DIR *__wrap_fdopendir(int fd);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes);

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    if (fails(FAULT_FILE_PWRITE))
        return -1;
    return __real_pwrite(fd, bytes, allowed(FAULT_FILE_PWRITE, count), offset);
}

ssize_t __wrap_pread(int fd, void *bytes, size_t count, off_t offset)
{
    if (fails(FAULT_FILE_PREAD))
        return -1;
    return __real_pread(fd, bytes, allowed(FAULT_FILE_PREAD, count), offset);
}

/* Callers without O_CREAT pass no mode; what is read then is not used. */
int __wrap_openat(int folder, const char *path, int flags, mode_t mode)
{
    return fails(FAULT_FILE_OPENAT) ? -1 : __real_openat(folder, path, flags, mode);
}

int __wrap_linkat(int from, const char *path, int to, const char *name, int flags)
{
    return fails(FAULT_FILE_LINKAT) ? -1 : __real_linkat(from, path, to, name, flags);
}

int __wrap_renameat(int from, const char *path, int to, const char *name)
{
    return fails(FAULT_FILE_RENAMEAT) ? -1 : __real_renameat(from, path, to, name);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return fails(FAULT_FILE_FCHMOD) ? -1 : __real_fchmod(fd, mode);
}

/* The descriptor is gone also where close fails, as Linux does it. */
int __wrap_close(int fd)
{
    bool fail = fails(FAULT_FILE_CLOSE);
    int code = errno;
    int result = __real_close(fd);

    if (!fail)
        return result;
    errno = code;
    return -1;
}

int __wrap_renameat2(int from, const char *path, int to, const char *name, unsigned flags)
{
    return fails(FAULT_FILE_RENAMEAT2) ? -1
                                       : __real_renameat2(from, path, to, name, flags);
}

int __wrap_mkdirat(int folder, const char *name, mode_t mode)
{
    return fails(FAULT_FILE_MKDIRAT) ? -1 : __real_mkdirat(folder, name, mode);
}

int __wrap_unlinkat(int folder, const char *name, int flags)
{
    return fails(FAULT_FILE_UNLINKAT) ? -1 : __real_unlinkat(folder, name, flags);
}

int __wrap_fstatat(int folder, const char *name, struct stat *out, int flags)
{
    return fails(FAULT_FILE_FSTATAT) ? -1 : __real_fstatat(folder, name, out, flags);
}

DIR *__wrap_fdopendir(int fd)
{
    return fails(FAULT_FILE_FDOPENDIR) ? NULL : __real_fdopendir(fd);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    return fails(FAULT_FILE_FALLOCATE) ? -1 : __real_fallocate(fd, mode, offset, bytes);
}
