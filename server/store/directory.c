/* SPDX-License-Identifier: Apache-2.0 */
#include "store/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char *directory_advice(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return "; start tritd as the user that owns the directory, or give it to tritd's "
               "user";
    case EROFS:
        return "; mount it for writing (tritd --check-data reads it as it is)";
    case ELOOP:
        return "; tritd follows no symbolic link in its data directory: put the file itself "
               "there";
    case ENOENT:
        return "; create the directory above it";
    case ENOTDIR:
        return "; --data-dir takes a directory";
    case ENOSPC:
    case EDQUOT:
        return "; free some space";
    default:
        return "";
    }
}

static int fail_errno(struct failure *failure, const char *what, const char *path)
{
    return fail(failure, TRIT_UNAVAILABLE, NULL, "%s %s: %s%s", what, path,
                strerror(errno), directory_advice(errno));
}

/* A lock file has the id of the process that holds it or held it last, the number of the
 * newest report that was acknowledged, and in the second line the mark of a directory in which
 * a store was kept. */
enum { LOCK_TEXT_BYTES = 64 };
static const char mark[] = "store\n";

/* `fd`: of the lock file; -1: there is none. */
static int fail_in_use(int fd, const char *path, struct failure *failure)
{
    char text[LOCK_TEXT_BYTES] = {0};
    const ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    const long holder = got > 0 ? strtol(text, NULL, 10) : 0;

    /* One that only reads does not write its id. */
    if (holder <= 0 || (kill((pid_t)holder, 0) && errno == ESRCH))
        return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                    "data directory %s is in use by another process", path);
    return fail(failure, TRIT_FAILED_PRECONDITION, NULL,
                "data directory %s is in use by process %ld", path, holder);
}

bool directory_has_mark(int fd)
{
    char text[LOCK_TEXT_BYTES] = {0};
    const ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
    const char *line = got > 0 ? strchr(text, '\n') : NULL;

    return line && strcmp(line + 1, mark) == 0;
}

int64_t directory_newest(int fd)
{
    char text[LOCK_TEXT_BYTES] = {0}, *end;
    const ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

    if (got <= 0)
        return 0;
    (void)strtol(text, &end, 10);
    const long long newest = *end == ' ' ? strtoll(end, &end, 10) : 0;
    return *end == '\n' && newest > 0 && newest < LLONG_MAX ? newest : 0;
}

/* Returns the length of the text, or -1. */
static int put_lock(int fd, bool kept, int64_t newest)
{
    char text[LOCK_TEXT_BYTES];
    const int length = snprintf(text, sizeof(text), "%ld %" PRId64 "\n%s", (long)getpid(),
                                newest, kept ? mark : "");

    return pwrite(fd, text, (size_t)length, 0) == length ? length : -1;
}

static int write_lock(int fd, bool kept)
{
    const int length = put_lock(fd, kept, directory_newest(fd));

    return length < 0 || ftruncate(fd, length) ? -1 : 0;
}

static int take_lock(int fd, int how, const char *path, struct failure *failure)
{
    if (flock(fd, how | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        fail_in_use(fd, path, failure);
    else
        fail_errno(failure, "cannot lock", path);
    close(fd);
    return -1;
}

/* Locks the directory itself, which nobody can remove while it has files. Some file systems
 * (NFS) lock only files that are open for writing, which no directory is: there the lock file
 * must do. */
static int lock_directory(int at, int how, const char *path, struct failure *failure)
{
    if (flock(at, how | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return 0;
    const int fd = openat(at, "tritd.lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    fail_in_use(fd, path, failure);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int lock(int at, const char *path, bool *kept, struct failure *failure)
{
    if (lock_directory(at, LOCK_EX, path, failure) < 0)
        return -1;
    int fd = openat(at, "tritd.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fail_errno(failure, "cannot open the lock file in", path);
    if (take_lock(fd, LOCK_EX, path, failure) < 0)
        return -1;
    *kept = directory_has_mark(fd);
    if (write_lock(fd, *kept)) {
        fail_errno(failure, "cannot write the lock file in", path);
        close(fd);
        return -1;
    }
    return fd;
}

static const char *const names[] = {"reports.sqlite", "codes.slots"};

/* Creates the files with our mode, and makes sure that their names are on disk before the
 * first report. */
static int touch_files(int at, const char *path, struct failure *failure)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char what[48];
        int fd = openat(at, names[i], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0) {
            snprintf(what, sizeof(what), "cannot open %s in", names[i]);
            return fail_errno(failure, what, path);
        }
        close(fd);
    }
    return fsync(at) ? fail_errno(failure, "cannot sync", path) : 0;
}

static int make_paths(struct directory *directory, const char *path,
                      struct failure *failure)
{
    char **const made[] = {&directory->database, &directory->slots};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (asprintf(made[i], "%s/%s", path, names[i]) < 0) {
            *made[i] = NULL;
            free(directory->database);
            return fail(failure, TRIT_UNAVAILABLE, NULL, "out of memory");
        }
    return 0;
}

int directory_open(struct directory *directory, const char *path, struct failure *failure)
{
    struct directory made = {.database = NULL};
    int at, lock_fd;

    if (mkdir(path, 0700) && errno != EEXIST)
        return fail_errno(failure, "cannot create data directory", path);
    at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return fail_errno(failure, "cannot open data directory", path);
    lock_fd = lock(at, path, &made.kept, failure);
    if (lock_fd < 0)
        goto close_directory;
    if (touch_files(at, path, failure) || make_paths(&made, path, failure))
        goto unlock;
    made.lock_fd = lock_fd;
    made.fd = at;
    *directory = made;
    return 0;

unlock:
    close(lock_fd);
close_directory:
    close(at);
    return -1;
}

/* Opens and locks the lock file, if there is one; otherwise *fd is -1. */
static int lock_to_read(int at, const char *path, int *fd, struct failure *failure)
{
    if (lock_directory(at, LOCK_SH, path, failure) < 0)
        return -1;
    *fd = openat(at, "tritd.lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return errno == ENOENT
                   ? 0
                   : fail_errno(failure, "cannot open the lock file in", path);
    return take_lock(*fd, LOCK_SH, path, failure);
}

int directory_open_to_read(struct directory *directory, const char *path,
                           struct failure *failure)
{
    struct directory made = {.database = NULL};

    made.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made.fd < 0)
        return fail_errno(failure, "cannot open data directory", path);
    if (lock_to_read(made.fd, path, &made.lock_fd, failure) < 0) {
        close(made.fd);
        return -1;
    }
    if (make_paths(&made, path, failure)) {
        if (made.lock_fd >= 0)
            close(made.lock_fd);
        close(made.fd);
        return -1;
    }
    made.kept = made.lock_fd >= 0 && directory_has_mark(made.lock_fd);
    *directory = made;
    return 0;
}

enum schema_place directory_place(const struct directory *directory)
{
    if (!directory)
        return SCHEMA_IN_MEMORY;
    return directory->kept ? SCHEMA_KEPT : SCHEMA_ON_DISK;
}

void directory_note_kept(const struct directory *directory)
{
    if (!directory->kept)
        (void)write_lock(directory->lock_fd, true);
}

void directory_note_newest(const struct directory *directory, int64_t newest)
{
    (void)put_lock(directory->lock_fd, true, newest);
}

void directory_close(struct directory *directory)
{
    if (!directory->database)
        return;
    free(directory->database);
    free(directory->slots);
    if (directory->lock_fd >= 0)
        close(directory->lock_fd);
    close(directory->fd);
    *directory = (struct directory){0};
}
