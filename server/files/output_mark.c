/* SPDX-License-Identifier: Apache-2.0 */
#include "files/output_mark.h"

#include <sys/stat.h>

#include "base/clock.h"

static struct output_mark mark_of(const struct stat *there)
{
    return (struct output_mark){.inode = there->st_ino,
                                .modified_ns = clock_timespec_ns(&there->st_mtim)};
}

int output_mark_of(struct output_mark *mark, int fd)
{
    struct stat there;

    if (fstat(fd, &there) < 0)
        return -1;
    *mark = mark_of(&there);
    return 0;
}

bool output_mark_is_at(const struct output_mark *mark, const char *path)
{
    struct stat there;

    if (mark->inode == 0 || lstat(path, &there) < 0)
        return false;
    const struct output_mark found = mark_of(&there);

    return found.inode == mark->inode && found.modified_ns == mark->modified_ns;
}
