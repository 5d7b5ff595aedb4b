/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded into trit or tritd by LD_PRELOAD: one of its calls that change files fails, is cut short,
 * or ends the process. The environment says which.
 *
 *   FAILING_CALLS=write,fsync   the calls that count; their names are in `names`
 *   FAILING_NTH=3               the third of them, counted from 1; 0: none
 *   FAILING_HOW=errno 28        it fails; "sticky 28": so do all after it;
 *                               "signal 9": the process gets a signal before the call;
 *                               "short 0": from the third on, each write moves one byte
 *   FAILING_HANGS=path          fsync and fdatasync wait while this file exists; meanwhile
 *                               there is path.reached
 *   FAILING_CLOCK=path          the wall clock is ahead by as many seconds as this file has
 *                               bytes
 *   FAILING_LACKS=tmpfile,exchange  what the file system cannot do
 *   FAILING_LOG=path            gets the names of the calls that counted, one a line; a
 *                               "!" stands before the one that failed
 *
 * The calls are made with syscall(), so that no other library is involved. */
#undef _FORTIFY_SOURCE /* it would define open and pread */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum call { CREATE, WRITE, READ, FSYNC, LINK, RENAME, MKDIR, UNLINK, CHMOD, CLOSE };

static const char *const names[] = {"create", "write", "read",   "fsync", "link",
                                    "rename", "mkdir", "unlink", "chmod", "close"};

static _Atomic unsigned long counted;

static bool listed(const char *variable, const char *word)
{
    const char *list = getenv(variable), *at = list;
    const size_t bytes = strlen(word);

    while (at && (at = strstr(at, word))) {
        if ((at == list || at[-1] == ',') && (at[bytes] == ',' || at[bytes] == '\0'))
            return true;
        at += bytes;
    }
    return false;
}

static void note(const char *mark, enum call call)
{
    const char *path = getenv("FAILING_LOG");
    char line[16];
    long fd;

    if (!path)
        return;
    const int bytes = snprintf(line, sizeof(line), "%s%s\n", mark, names[call]);
    fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                 0600);
    if (fd < 0 || syscall(SYS_write, (int)fd, line, (size_t)bytes) != bytes)
        abort();
    syscall(SYS_close, (int)fd);
}

/* True: the call fails, and errno is set. `*short_write`: it moves one byte. */
static bool fails(enum call call, bool *short_write)
{
    const char *nth = getenv("FAILING_NTH"), *how = getenv("FAILING_HOW");
    char word[16] = "";
    int value = 0;

    if (!listed("FAILING_CALLS", names[call]))
        return false;
    const unsigned long number = atomic_fetch_add(&counted, 1) + 1;
    const unsigned long chosen = nth ? strtoul(nth, NULL, 10) : 0;
    const bool later = number > chosen;
    if (!chosen || number < chosen || !how || sscanf(how, "%15s %d", word, &value) != 2 ||
        (later && strcmp(word, "sticky") != 0 && strcmp(word, "short") != 0)) {
        note("", call);
        return false;
    }
    note("!", call);
    if (strcmp(word, "signal") == 0) {
        kill(getpid(), value); /* to the process, as a terminal sends it */
        return false;
    }
    if (strcmp(word, "short") == 0) {
        if (short_write)
            *short_write = true;
        return false;
    }
    errno = value;
    return true;
}

/* ---- the calls --------------------------------------------------------------------- */

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    bool cut = false;

    if (fails(WRITE, &cut))
        return -1;
    return syscall(SYS_pwrite64, fd, bytes, cut && count ? (size_t)1 : count, offset);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset)
{
    return fails(READ, NULL) ? -1 : syscall(SYS_pread64, fd, bytes, count, offset);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const char *path = clock == CLOCK_REALTIME ? getenv("FAILING_CLOCK") : NULL;
    const int result = (int)syscall(SYS_clock_gettime, clock, now);
    struct stat there;

    if (result == 0 && path && stat(path, &there) == 0)
        now->tv_sec += there.st_size;
    return result;
}

static void hang(void)
{
    const char *path = getenv("FAILING_HANGS");
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    char reached[PATH_MAX];
    struct stat there;

    if (!path || stat(path, &there) != 0)
        return;
    snprintf(reached, sizeof(reached), "%s.reached", path);
    syscall(SYS_close,
            (int)syscall(SYS_openat, AT_FDCWD, reached, O_WRONLY | O_CREAT, 0600));
    while (stat(path, &there) == 0)
        nanosleep(&pause, NULL);
    syscall(SYS_unlinkat, AT_FDCWD, reached, 0);
}

int fsync(int fd)
{
    hang();
    return fails(FSYNC, NULL) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    hang();
    return fails(FSYNC, NULL) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int linkat(int from, const char *path, int to, const char *name, int flags)
{
    return fails(LINK, NULL) ? -1 : (int)syscall(SYS_linkat, from, path, to, name, flags);
}

int renameat2(int from, const char *path, int to, const char *name, unsigned flags)
{
    if (flags && listed("FAILING_LACKS", "exchange")) {
        errno = EINVAL;
        return -1;
    }
    return fails(RENAME, NULL) ? -1
                               : (int)syscall(SYS_renameat2, from, path, to, name, flags);
}

int renameat(int from, const char *path, int to, const char *name)
{
    return renameat2(from, path, to, name, 0);
}

int rename(const char *path, const char *name)
{
    return renameat2(AT_FDCWD, path, AT_FDCWD, name, 0);
}

int mkdirat(int folder, const char *name, mode_t mode)
{
    return fails(MKDIR, NULL) ? -1 : (int)syscall(SYS_mkdirat, folder, name, mode);
}

int unlinkat(int folder, const char *name, int flags)
{
    return fails(UNLINK, NULL) ? -1 : (int)syscall(SYS_unlinkat, folder, name, flags);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int fchmod(int fd, mode_t mode)
{
    return fails(CHMOD, NULL) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

/* Only files that were written: sockets and inputs do not count. The descriptor is gone
 * also where close fails, as Linux does it. */
int close(int fd)
{
    struct stat there;
    const int flags = fcntl(fd, F_GETFL);
    const bool written = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY &&
                         fstat(fd, &there) == 0 && S_ISREG(there.st_mode);
    const bool fail = written && fails(CLOSE, NULL);
    const int code = errno, result = (int)syscall(SYS_close, fd);

    if (fail)
        errno = code;
    return fail ? -1 : result;
}

static int open_file(int folder, const char *path, int flags, mode_t mode)
{
    const bool nameless = (flags & O_TMPFILE) == O_TMPFILE;

    if (nameless && listed("FAILING_LACKS", "tmpfile")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if ((nameless || (flags & O_CREAT)) && fails(CREATE, NULL))
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

/* Callers that create nothing pass no mode, and none is read. */
int openat(int folder, const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list more;

        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    return open_file(folder, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list more;

        va_start(more, flags);
        mode = va_arg(more, mode_t);
        va_end(more);
    }
    return open_file(AT_FDCWD, path, flags, mode);
}
