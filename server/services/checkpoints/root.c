/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int root_open(struct root *root, const char *directory, struct failure *failure)
{
    *root = (struct root){.fd = -1};
    if (!directory)
        return 0;
    if (access("/proc/self/fd", X_OK) != 0)
        return fail_field(failure, TRIT_INVALID_ARGUMENT, "checkpoint-root",
                          "the service Checkpoints needs /proc, which this system or "
                          "container does not mount");
    root->fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    root->directory = directory;
    if (root->fd >= 0)
        return 0;
    return fail_field(failure, TRIT_INVALID_ARGUMENT, "checkpoint-root",
                      "cannot open \"%s\": %s", directory, strerror(errno));
}

void root_close(struct root *root)
{
    if (root->fd >= 0)
        close(root->fd);
    root->fd = -1;
}

int root_check(const struct root *root, struct failure *failure)
{
    struct stat held, named;

    if (fstat(root->fd, &held) == 0 && stat(root->directory, &named) == 0 &&
        held.st_dev == named.st_dev && held.st_ino == named.st_ino)
        return 0;
    return fail_field(
        failure, TRIT_FAILED_PRECONDITION, "checkpoint-root",
        "\"%.512s\" is no longer the directory that it was when the daemon "
        "started: it was moved, replaced, mounted or unmounted; restart tritd",
        root->directory);
}

void rooted_close(struct rooted *found)
{
    if (found->fd >= 0)
        close(found->fd);
    found->fd = -1;
}

/* ---- the text of a path --------------------------------------------------------------- */

static int refuse(struct failure *failure, const char *field, const char *path,
                  const char *why)
{
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field, "\"%.512s\" %s", path, why);
}

static bool ends_as_folder(const char *path)
{
    const size_t length = strlen(path);

    return length > 1 && path[length - 1] == '/';
}

/* The length without the slash at the end that a folder may have. */
static size_t path_length(const char *path)
{
    return strlen(path) - (ends_as_folder(path) ? 1 : 0);
}

/* "." or "./" */
static bool is_root(const char *path)
{
    return path_length(path) == 1 && path[0] == '.';
}

static int check_text(const char *field, const char *path, struct failure *failure)
{
    const size_t length = path_length(path);

    if (length == 0)
        return refuse(failure, field, path, "is empty; name a file or a folder");
    if (path[0] == '/')
        return refuse(failure, field, path,
                      "is absolute; name it relative to --checkpoint-root");
    if (is_root(path))
        return refuse(failure, field, path,
                      "is --checkpoint-root itself; name a file or a folder in it");
    for (size_t at = 0, count; at <= length; at += count + 1) {
        count = strcspn(path + at, "/");
        if (count > length - at)
            count = length - at;
        if (count == 0)
            return refuse(failure, field, path, "has an empty component");
        if (count > NAME_MAX)
            return refuse(failure, field, path, "has a component above 255 bytes");
        if ((count == 1 && path[at] == '.') ||
            (count == 2 && strncmp(path + at, "..", 2) == 0))
            return refuse(failure, field, path,
                          "has a component \".\" or \"..\"; write it without");
    }
    return 0;
}

/* ---- opening beneath ------------------------------------------------------------------ */

static int openat2_beneath(int folder, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                      RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

/* One component after another, for systems without openat2. No component is ".." (check_text)
 * or may be a link. */
static int walk_beneath(int folder, const char *path, size_t length)
{
    int fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    char name[NAME_MAX + 1];

    for (size_t at = 0, count; fd >= 0 && at < length; at += count + 1) {
        struct stat there;
        int next;

        count = strcspn(path + at, "/");
        if (count > length - at)
            count = length - at;
        memcpy(name, path + at, count);
        name[count] = '\0';
        next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        close(fd);
        fd = next;
        if (fd >= 0 && fstat(fd, &there) == 0 && S_ISLNK(there.st_mode)) {
            close(fd);
            errno = ELOOP;
            fd = -1;
        }
    }
    return fd;
}

/* `length` bytes of the path; 0: the root itself. */
static int open_beneath(const struct root *root, const char *path, size_t length)
{
    char text[PATH_MAX];
    int fd;

    if (length == 0)
        return fcntl(root->fd, F_DUPFD_CLOEXEC, 0);
    if (length >= sizeof(text)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(text, path, length);
    text[length] = '\0';
    if (!root->walks) {
        fd = openat2_beneath(root->fd, text);
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) /* a sandbox may forbid it */
            return fd;
    }
    return walk_beneath(root->fd, path, length);
}

static int refuse_open(const char *field, const char *path, struct failure *failure)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return fail_field(failure, TRIT_NOT_FOUND, field, "\"%.512s\" does not exist",
                          path);
    case ELOOP:
    case EXDEV:
        return refuse(failure, field, path,
                      "leads through a symbolic link, which is not followed");
    case ENAMETOOLONG:
        return refuse(failure, field, path, "is too long");
    case EACCES:
        return fail_field(failure, TRIT_PERMISSION_DENIED, field,
                          "the daemon may not open \"%.512s\"", path);
    default:
        return fail_field(failure, TRIT_UNAVAILABLE, field, "cannot open \"%.512s\": %s",
                          path, strerror(errno));
    }
}

/* The folder of the path's last component is held in its place. */
static int hold_folder(const struct root *root, const char *field, const char *path,
                       struct rooted *found, struct failure *failure)
{
    const size_t length = path_length(path);
    struct stat there = {.st_mode = 0};
    size_t begin = length;

    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    const int fd = open_beneath(root, path, begin ? begin - 1 : 0);
    if (fd < 0 && errno == ENOENT)
        return fail_field(failure, TRIT_NOT_FOUND, field,
                          "\"%.512s\": its folder \"%.*s\" does not exist; create "
                          "it below --checkpoint-root",
                          path, (int)(begin - 1 < 512 ? begin - 1 : 512), path);
    if (fd < 0)
        return refuse_open(field, path, failure);
    if (fstat(fd, &there) != 0 || !S_ISDIR(there.st_mode)) {
        close(fd);
        errno = S_ISLNK(there.st_mode) ? ELOOP : ENOTDIR;
        return refuse_open(field, path, failure);
    }
    *found = (struct rooted){.fd = fd};
    /* With its slash: it says that an output is a folder. */
    snprintf(found->path, sizeof(found->path), "/proc/self/fd/%d/%s", fd, path + begin);
    return 0;
}

int root_find(const struct root *root, const char *field, const char *path,
              struct rooted *found, struct failure *failure)
{
    struct stat there;
    int fd;

    if ((!is_root(path) && check_text(field, path, failure) < 0) ||
        root_check(root, failure) < 0)
        return -1;
    fd = open_beneath(root, path, is_root(path) ? 0 : path_length(path));
    if (fd < 0)
        return refuse_open(field, path, failure);
    if (fstat(fd, &there) == 0 && S_ISDIR(there.st_mode)) {
        *found = (struct rooted){.fd = fd};
        snprintf(found->path, sizeof(found->path), "/proc/self/fd/%d", fd);
        return 0;
    }
    close(fd);
    if (S_ISLNK(there.st_mode))
        return refuse(failure, field, path,
                      "leads through a symbolic link, which is not followed");
    if (!S_ISREG(there.st_mode))
        return refuse(failure, field, path, "is neither a regular file nor a folder");
    if (ends_as_folder(path))
        return refuse(failure, field, path,
                      "is a file, not a folder; write it without the slash at the end");
    return hold_folder(root, field, path, found, failure);
}

int root_find_output(const struct root *root, const char *field, const char *path,
                     struct rooted *found, struct failure *failure)
{
    return check_text(field, path, failure) < 0 || root_check(root, failure) < 0
               ? -1
               : hold_folder(root, field, path, found, failure);
}

void rooted_rename(const struct rooted *found, const char *path, struct failure *failure)
{
    const size_t bytes = path_length(found->path), asked = path_length(path);
    char before[sizeof(failure->message)], held[sizeof(found->path)];
    const char *at;

    memcpy(before, failure->message, sizeof(before));
    snprintf(held, sizeof(held), "%.*s", (int)bytes, found->path);
    at = found->fd >= 0 ? strstr(before, held) : NULL;
    if (at)
        snprintf(failure->message, sizeof(failure->message), "%.*s%.*s%.*s",
                 (int)(at - before), before, (int)(asked < 256 ? asked : 256), path, 600,
                 at + bytes);
}
