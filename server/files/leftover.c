/* SPDX-License-Identifier: Apache-2.0 */
#include "files/leftover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/system.h"

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

bool leftover_lock(int fd, bool named)
{
    struct stat there;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno != EWOULDBLOCK;
    return !named || fstat(fd, &there) != 0 || there.st_nlink > 0;
}

void remove_files(int parent, const char *name)
{
    int fd = openat(parent, name, FOLDER_FLAGS);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (!stream) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(fd, entry->d_name, 0);
    closedir(stream);
}

/* Is it the file that the name still has? */
static bool has_name(int parent, const char *name, const struct stat *there)
{
    struct stat named;

    return fstatat(parent, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_dev == there->st_dev && named.st_ino == there->st_ino;
}

static void remove_leftover(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat there;

    if (fd < 0)
        return;
    if (fstat(fd, &there) == 0 && there.st_uid == geteuid() &&
        (S_ISREG(there.st_mode) || S_ISDIR(there.st_mode)) &&
        flock(fd, LOCK_EX | LOCK_NB) == 0 && has_name(parent, name, &there)) {
        if (S_ISDIR(there.st_mode))
            remove_files(parent, name);
        unlinkat(parent, name, S_ISDIR(there.st_mode) ? AT_REMOVEDIR : 0);
    }
    close(fd);
}

static int may_be_temporary(const struct dirent *entry)
{
    return entry->d_name[0] == '.' && strstr(entry->d_name, TEMPORARY_MARK) != NULL;
}

void leftovers_remove(int parent, const char *name, const char *kept)
{
    struct dirent **entries;
    const int count = scandirat(parent, ".", &entries, may_be_temporary, NULL);

    for (int i = 0; i < count; i++) {
        if (is_temporary_name(entries[i]->d_name, name) &&
            (!kept || strncmp(entries[i]->d_name, kept, strlen(kept)) != 0))
            remove_leftover(parent, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}
