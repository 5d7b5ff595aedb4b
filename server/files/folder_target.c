/* SPDX-License-Identifier: Apache-2.0 */
#include "files/folder_target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/leftover.h"
#include "files/system.h"

struct folder_target {
    int parent;               /* descriptor of the folder that contains the target */
    int fd;                   /* of the temporary folder */
    enum target_mode mode;    /* NEW or REPLACE */
    bool kept, stays;         /* as those of struct target */
    mode_t permissions;       /* of the folder that is replaced; 0: there is none */
    char *name;               /* of the target in its parent */
    char temporary[NAME_MAX]; /* what close removes: the temporary folder, after the
                                 rename the replaced one; "": nothing */
};

enum {
    TEMPORARY_TRIES = 64,
    REMOVE_TRIES = 3, /* readdir may skip names while others are removed, so it is
                         repeated */
    FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

/* ---- what is there ---------------------------------------------------------------- */

/* Splits the path into a descriptor of the parent and a name. */
static int open_parent(struct folder_target *target, const char *path,
                       struct failure *failure)
{
    size_t end = strlen(path), start;
    char *parent;

    while (end > 0 && path[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path[start - 1] != '/';)
        start--;
    target->name = strndup(path + start, end - start);
    parent = start ? strndup(path, start) : strdup(".");
    if (!target->name || !parent) {
        free(parent);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    if (!*target->name || strcmp(target->name, ".") == 0 ||
        strcmp(target->name, "..") == 0) {
        free(parent);
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "it must end with the name of a folder");
    }
    target->parent = open_output_folder(parent, failure);
    free(parent);
    return target->parent >= 0 ? 0 : -1;
}

static bool is_weights(const char *name)
{
    static const char suffix[] = ".safetensors";
    size_t length = strlen(name), bytes = strlen(suffix);

    return length > bytes && strcmp(name + length - bytes, suffix) == 0;
}

/* Reads the names of a folder; fails if one of them must not be removed. */
static int check_names(DIR *stream, struct failure *failure)
{
    bool empty = true, weights = false;

    for (;;) {
        const struct dirent *entry;
        struct stat there;

        errno = 0;
        entry = readdir(stream);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(stream), entry->d_name, &there, AT_SYMLINK_NOFOLLOW) < 0)
            return fail_errno(failure, "look at what it holds");
        if (!S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode))
            return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                        "it holds %s, which is neither a file nor a link; only a folder "
                        "of weights is replaced",
                        entry->d_name);
        weights = weights || is_weights(entry->d_name);
        empty = false;
    }
    if (errno)
        return fail_errno(failure, "read it");
    return empty || weights ? 0
                            : fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                                   "it holds files and no *.safetensors; only a folder "
                                   "of weights is replaced");
}

static int check_folder(const struct folder_target *target, struct failure *failure)
{
    int fd = openat(target->parent, target->name, FOLDER_FLAGS), result;
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;

    if (!stream) {
        fail_errno(failure, "open it");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    result = check_names(stream, failure);
    closedir(stream);
    if (result == 0 && faccessat(target->parent, target->name, W_OK | X_OK, AT_EACCESS))
        result = fail_errno(failure, "remove its files");
    return result;
}

static int fail_exists(struct failure *failure)
{
    return fail(failure, TRIT_ALREADY_EXISTS, NULL, "it exists already");
}

static int check_existing(struct folder_target *target, struct failure *failure)
{
    struct stat there;

    target->permissions = 0;
    if (fstatat(target->parent, target->name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail_errno(failure, "look at it");
    if (target->mode == TARGET_NEW)
        return fail_exists(failure);
    if (S_ISLNK(there.st_mode))
        return 0;
    if (!S_ISDIR(there.st_mode))
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL, "it is not a folder");
    target->permissions = there.st_mode & 0777;
    return check_folder(target, failure);
}

/* ---- opening and removing --------------------------------------------------------- */

/* The folder that an earlier process left unfinished, or a new one. */
static int open_kept(struct folder_target *target)
{
    struct stat there;

    kept_name(target->temporary, target->name);
    if (mkdirat(target->parent, target->temporary, 0777) == 0 || errno == EEXIST)
        target->fd = openat(target->parent, target->temporary, FOLDER_FLAGS);
    if (target->fd >= 0 && fstat(target->fd, &there) == 0 && there.st_uid == geteuid() &&
        leftover_lock(target->fd, true))
        return 0;
    if (target->fd >= 0)
        close(target->fd);
    target->fd = -1;
    target->temporary[0] = '\0';
    return -1;
}

/* Creates, opens and locks it. 1: another process removed it meanwhile. */
static int try_temporary(struct folder_target *target)
{
    if (temporary_name(target->temporary, target->name) < 0)
        return -1;
    if (mkdirat(target->parent, target->temporary, 0777) < 0)
        return errno == EEXIST ? 1 : -1;
    target->fd = openat(target->parent, target->temporary, FOLDER_FLAGS);
    if (target->fd < 0)
        return errno == ENOENT ? 1 : -1;
    if (leftover_lock(target->fd, true))
        return 0;
    close(target->fd);
    target->fd = -1;
    return 1;
}

static int make_temporary(struct folder_target *target, struct failure *failure)
{
    int result = 1;

    for (int i = 0; i < TEMPORARY_TRIES && result > 0; i++)
        result = try_temporary(target);
    if (result == 0)
        return 0;
    fail_errno(failure, "create a temporary folder next to it");
    /* It may have been created, but could not be opened. */
    unlinkat(target->parent, target->temporary, AT_REMOVEDIR);
    target->temporary[0] = '\0';
    return -1;
}

int folder_target_open(struct folder_target **out, const char *path,
                       enum target_mode mode, struct failure *failure)
{
    struct folder_target *target = calloc(1, sizeof(*target));
    char kept[NAME_MAX];

    if (!target)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    target->parent = target->fd = -1;
    target->mode = mode & TARGET_REPLACE;
    target->kept = mode & TARGET_KEPT;
    int result = open_parent(target, path, failure);

    if (result == 0)
        result = check_existing(target, failure);
    if (result == 0) {
        kept_name(kept, target->name);
        leftovers_remove(target->parent, target->name, target->kept ? kept : NULL);
        target->kept = target->kept && open_kept(target) == 0;
    }
    if (result < 0 || (!target->kept && make_temporary(target, failure) < 0)) {
        folder_target_close(target);
        return -1;
    }
    *out = target;
    return 0;
}

int folder_target_fd(const struct folder_target *target)
{
    return target->fd;
}

bool folder_target_is_kept(const struct folder_target *target)
{
    return target->kept;
}

void folder_target_keep(struct folder_target *target)
{
    target->stays = target->kept;
}

/* Removes a folder with its files, or a link. Returns -1 and errno if something stays. */
static int remove_temporary(struct folder_target *target)
{
    int result = unlinkat(target->parent, target->temporary, 0);

    for (int i = 0; i < REMOVE_TRIES && result < 0 && errno != ENOENT; i++) {
        remove_files(target->parent, target->temporary);
        result = unlinkat(target->parent, target->temporary, AT_REMOVEDIR);
    }
    if (result < 0 && errno != ENOENT)
        return -1;
    target->temporary[0] = '\0';
    return 0;
}

/* ---- taking the name -------------------------------------------------------------- */

static bool lacks_flags(void)
{
    return errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP;
}

static int take_free_name(struct folder_target *target, struct failure *failure)
{
    int result = renameat2(target->parent, target->temporary, target->parent,
                           target->name, RENAME_NOREPLACE);

    if (result < 0 && lacks_flags()) {
        struct stat there;

        if (fstatat(target->parent, target->name, &there, AT_SYMLINK_NOFOLLOW) == 0)
            return fail_exists(failure);
        /* If the name appeared meanwhile, only an empty folder is replaced. */
        result =
            renameat(target->parent, target->temporary, target->parent, target->name);
    }
    if (result < 0)
        return errno == EEXIST || errno == ENOTEMPTY ? fail_exists(failure)
                                                     : fail_errno(failure, "rename it");
    target->temporary[0] = '\0';
    return 0;
}

/* Without RENAME_EXCHANGE: the old folder gets a temporary name, then the new one its
 * own. If the second step fails, the first is undone. */
static int replace_in_two_steps(struct folder_target *target, struct failure *failure)
{
    char aside[NAME_MAX];

    if (aside_name(aside, target->name) < 0)
        return fail_errno(failure, "rename what it replaces");
    if (renameat(target->parent, target->name, target->parent, aside) < 0)
        return errno == ENOENT ? take_free_name(target, failure)
                               : fail_errno(failure, "rename what it replaces");
    if (renameat(target->parent, target->temporary, target->parent, target->name) < 0) {
        fail_errno(failure, "rename it");
        if (renameat(target->parent, aside, target->parent, target->name) < 0)
            fail_context(failure, "what was there is now %s", aside);
        return -1;
    }
    memcpy(target->temporary, aside, sizeof(aside));
    return 0;
}

/* Afterwards the old folder, if there was one, has the temporary name. */
static int replace_name(struct folder_target *target, struct failure *failure)
{
    if (renameat2(target->parent, target->temporary, target->parent, target->name,
                  RENAME_EXCHANGE) == 0)
        return 0;
    if (errno == ENOENT)
        return take_free_name(target, failure);
    return lacks_flags() ? replace_in_two_steps(target, failure)
                         : fail_errno(failure, "rename it");
}

/* The new folder has the name, but a power failure may bring the old one back, so
 * neither is removed. */
static int fail_unflushed(struct folder_target *target, struct failure *failure)
{
    char aside[NAME_MAX];
    const char *kept = target->temporary;

    fail_errno(failure, "flush its folder to the disk");
    if (kept[0] && is_temporary_name(kept, target->name) &&
        aside_name(aside, target->name) == 0 &&
        renameat(target->parent, kept, target->parent, aside) == 0)
        kept = aside;
    if (kept[0])
        fail_context(failure, "it is replaced, the old one is kept as %s", kept);
    target->temporary[0] = '\0';
    return -1;
}

int folder_target_finish(struct folder_target *target, struct output_mark *mark,
                         struct failure *failure)
{
    if (fsync(target->fd) < 0)
        return fail_errno(failure, "flush it to the disk");
    return output_mark_of(mark, target->fd) < 0 ? fail_errno(failure, "look at it") : 0;
}

int folder_target_commit(struct folder_target *target, struct failure *failure)
{
    /* Since folder_open, others may have put files there that must not be removed. */
    if (check_existing(target, failure) < 0)
        return -1;
    if (target->permissions && fchmod(target->fd, target->permissions) < 0)
        return fail_errno(failure, "set its permissions");
    if (fsync(target->fd) < 0)
        return fail_errno(failure, "flush it to the disk");
    if ((target->mode == TARGET_NEW ? take_free_name : replace_name)(target, failure) < 0)
        return -1;
    if (fsync(target->parent) < 0)
        return fail_unflushed(target, failure);
    if (target->temporary[0] && remove_temporary(target) < 0) {
        fail_errno(failure, "remove the old one");
        return fail_context(failure, "it is replaced, but %s stays", target->temporary);
    }
    return 0;
}

void folder_target_close(struct folder_target *target)
{
    if (!target)
        return;
    if (target->temporary[0] && !target->stays)
        remove_temporary(target);
    if (target->fd >= 0)
        close(target->fd);
    if (target->parent >= 0)
        close(target->parent);
    free(target->name);
    free(target);
}
