/* SPDX-License-Identifier: Apache-2.0 */
#include "files/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_io.h"
#include "base/number.h"
#include "files/folder.h"
#include "files/leftover.h"
#include "files/system.h"

struct target {
    int folder; /* descriptor of the folder that contains the target */
    int fd;
    enum target_mode mode; /* NEW or REPLACE */
    bool kept;             /* others can go on with it */
    bool stays;            /* after target_close */
    bool finished;
    char *name; /* the target's name in that folder */
    char temporary
        [NAME_MAX]; /* the name before the rename; "" while the file has no name */
};

enum { TEMPORARY_TRIES = 64 };

static const uint64_t PIECE_BYTES_MAX = 64u << 20;

static int open_named(struct target *target)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        if (temporary_name(target->temporary, target->name) != 0)
            break;
        target->fd = openat(target->folder, target->temporary,
                            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (target->fd >= 0 && leftover_lock(target->fd, true))
            return 0;
        if (target->fd >= 0) {
            close(target->fd);
            target->fd = -1;
        } else if (errno != EEXIST) {
            break;
        }
    }
    target->temporary[0] = '\0';
    return -1;
}

/* The file that an earlier process left unfinished, or a new one. A second name, or another
 * owner, means that it is not ours alone. */
static int open_kept(struct target *target)
{
    for (int i = 0; i < 2; i++) {
        struct stat there = {.st_nlink = 0};

        kept_name(target->temporary, target->name);
        target->fd = openat(target->folder, target->temporary,
                            O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
        if (target->fd < 0)
            break;
        const bool ours = leftover_lock(target->fd, true) &&
                          fstat(target->fd, &there) == 0 && S_ISREG(there.st_mode) &&
                          there.st_uid == geteuid();

        if (ours && there.st_nlink == 1)
            return 0;
        /* A crash between the two steps of take_new_name. */
        if (ours)
            unlinkat(target->folder, target->temporary, 0);
        close(target->fd);
        target->fd = -1;
        if (!ours)
            break;
    }
    target->temporary[0] = '\0';
    return -1;
}

/* Locked before it has a name, which it gets at the end. */
static int open_nameless(struct target *target)
{
    target->fd = openat(target->folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
    return target->fd >= 0 && leftover_lock(target->fd, false) ? 0 : -1;
}

/* Gives the nameless file this name, which must be free. */
static int link_as(struct target *target, const char *name)
{
    char self[64];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", target->fd);
    return linkat(AT_FDCWD, self, target->folder, name, AT_SYMLINK_FOLLOW);
}

static int link_nameless(struct target *target)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        if (temporary_name(target->temporary, target->name) != 0)
            break;
        if (link_as(target, target->temporary) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    target->temporary[0] = '\0';
    return -1;
}

/* A nameless file gets its name through /proc, which a chroot may not have. */
static bool can_link_nameless(void)
{
    return access("/proc/self/fd", X_OK) == 0;
}

/* Opens the folder of the path and keeps the name. If the name is a symbolic link, the
 * link itself is replaced. */
static int open_folder(struct target *target, const char *path, struct failure *failure)
{
    const char *slash = strrchr(path, '/');
    char *folder = folder_of(path);

    target->name = strdup(slash ? slash + 1 : path);
    if (!target->name || !folder) {
        free(folder);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    if (target->name[0] == '\0') {
        free(folder);
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "it names a folder, not a file");
    }
    target->folder = open_output_folder(folder, failure);
    free(folder);
    return target->folder >= 0 ? 0 : -1;
}

static int fail_exists(struct failure *failure)
{
    return fail(failure, TRIT_ALREADY_EXISTS, NULL, "it exists already");
}

/* An existing name may be replaced only if it is a file, or a link to a file or to
 * nothing. Otherwise a rename could replace /dev/null. A replaced file keeps its
 * permissions. */
static int check_existing(struct target *target, struct failure *failure, mode_t *mode)
{
    struct stat there, linked;

    *mode = 0;
    if (fstatat(target->folder, target->name, &there, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : fail_errno(failure, "look at it");
    if (!S_ISREG(there.st_mode) &&
        !(S_ISLNK(there.st_mode) &&
          (fstatat(target->folder, target->name, &linked, 0) != 0 ||
           S_ISREG(linked.st_mode))))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "it is not a regular file");
    if (target->mode == TARGET_NEW)
        return fail_exists(failure);
    if (S_ISREG(there.st_mode))
        *mode = there.st_mode & 0777;
    return 0;
}

static int open_target(struct target *target, const char *path, struct failure *failure)
{
    char kept[NAME_MAX];
    mode_t mode;

    if (open_folder(target, path, failure) != 0 ||
        check_existing(target, failure, &mode) != 0)
        return -1;
    kept_name(kept, target->name);
    leftovers_remove(target->folder, target->name, target->kept ? kept : NULL);
    target->kept = target->kept && open_kept(target) == 0;
    if (!target->kept && (!can_link_nameless() || open_nameless(target) != 0))
        if (open_named(target) != 0)
            return fail_errno(failure, "create a temporary file next to it");
    if (mode && fchmod(target->fd, mode) != 0)
        return fail_errno(failure, "set its permissions");
    return 0;
}

int target_open(struct target **out, const char *path, enum target_mode mode,
                struct failure *failure)
{
    struct target *target = calloc(1, sizeof(*target));

    if (!target)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    target->folder = target->fd = -1;
    target->mode = mode & TARGET_REPLACE;
    target->kept = mode & TARGET_KEPT;
    if (open_target(target, path, failure) != 0) {
        target_close(target);
        return -1;
    }
    *out = target;
    return 0;
}

int target_reserve(struct target *target, uint64_t bytes, struct failure *failure)
{
    struct stat there;

    if (target->kept && fstat(target->fd, &there) == 0 &&
        (uint64_t)there.st_size > bytes && ftruncate(target->fd, (off_t)bytes) != 0)
        return fail_errno(failure, "cut it");
    return reserve_space(target->fd, bytes, failure);
}

int target_write(struct target *target, uint64_t offset, const void *data, uint64_t count,
                 struct failure *failure)
{
    return write_at(target->fd, offset, data, count) < 0 ? fail_errno(failure, "write")
                                                         : 0;
}

int target_read(struct target *target, uint64_t offset, void *buffer, uint64_t count,
                struct failure *failure)
{
    uint8_t *at = buffer;

    while (count) {
        const ssize_t got =
            pread(target->fd, at, u64_min(count, PIECE_BYTES_MAX), (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(failure, "read what was written");
        if (got == 0)
            return fail(failure, TRIT_DATA_LOSS, NULL, "it is shorter than it was");
        at += got;
        offset += (uint64_t)got;
        count -= (uint64_t)got;
    }
    return 0;
}

bool target_is_kept(const struct target *target)
{
    return target->kept;
}

int target_flush(struct target *target, struct failure *failure)
{
    return fdatasync(target->fd) == 0 ? 0 : fail_errno(failure, "flush it to the disk");
}

void target_keep(struct target *target)
{
    target->stays = target->kept;
}

static int replace_name(struct target *target, struct failure *failure)
{
    if (!target->temporary[0] && link_nameless(target) != 0)
        return fail_errno(failure, "name it");
    if (renameat(target->folder, target->temporary, target->folder, target->name) != 0)
        return fail_errno(failure, "rename it");
    target->temporary[0] = '\0';
    return 0;
}

/* Does not replace a file that took the name after target_open. */
static int take_new_name(struct target *target, struct failure *failure)
{
    int result = target->temporary[0] ? linkat(target->folder, target->temporary,
                                               target->folder, target->name, 0)
                                      : link_as(target, target->name);

    if (result == 0) {
        if (target->temporary[0])
            unlinkat(target->folder, target->temporary, 0);
        target->temporary[0] = '\0';
        return 0;
    }
    if (errno == EEXIST)
        return fail_exists(failure);
    /* the file system has no hard links */
    if (target->temporary[0] && (errno == EPERM || errno == EOPNOTSUPP)) {
        mode_t mode;

        return check_existing(target, failure, &mode) < 0 ? -1
                                                          : replace_name(target, failure);
    }
    return fail_errno(failure, "name it");
}

/* NFS may report a failed write only when a descriptor is closed. The file's own
 * descriptor is still needed to name the file, so a duplicate is closed. */
static int close_copy(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -1 : close(copy);
}

int target_finish(struct target *target, struct output_mark *mark,
                  struct failure *failure)
{
    if (fsync(target->fd) != 0)
        return fail_errno(failure, "flush it to the disk");
    if (close_copy(target->fd) != 0)
        return fail_errno(failure, "close it");
    if (output_mark_of(mark, target->fd) != 0)
        return fail_errno(failure, "look at it");
    target->finished = true;
    return 0;
}

int target_commit(struct target *target, struct failure *failure)
{
    struct output_mark unused;

    if (!target->finished && target_finish(target, &unused, failure) < 0)
        return -1;
    if ((target->mode == TARGET_NEW ? take_new_name : replace_name)(target, failure) != 0)
        return -1;
    if (fsync(target->folder) != 0)
        return fail_errno(failure, "flush its folder to the disk");
    return 0;
}

void target_close(struct target *target)
{
    if (!target)
        return;
    if (target->temporary[0] && !target->stays)
        unlinkat(target->folder, target->temporary, 0);
    if (target->fd >= 0)
        close(target->fd);
    if (target->folder >= 0)
        close(target->folder);
    free(target->name);
    free(target);
}
