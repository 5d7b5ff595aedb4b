/* SPDX-License-Identifier: Apache-2.0 */
#include "base/held_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void held_path_note(struct held_path *held, const char *directory, const char *name)
{
    struct stat found;
    size_t bytes;

    *held = (struct held_path){.path = NULL};
    if (!directory)
        return;
    bytes = strlen(directory) + (name ? strlen(name) : 0) + 2;
    held->path = malloc(bytes);
    if (!held->path)
        return;
    snprintf(held->path, bytes, "%s%s%s", directory, name ? "/" : "", name ? name : "");
    if (stat(held->path, &found) < 0) {
        held_path_forget(held);
        return;
    }
    held->device = found.st_dev;
    held->inode = found.st_ino;
}

void held_path_forget(struct held_path *held)
{
    free(held->path);
    held->path = NULL;
}

bool held_path_is_same(const struct held_path *held)
{
    struct stat found;

    if (!held->path)
        return true;
    if (stat(held->path, &found) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return found.st_dev == held->device && found.st_ino == held->inode;
}

int held_path_check(const struct held_path *held, const char *what,
                    struct failure *failure)
{
    if (held_path_is_same(held))
        return 0;
    return fail(
        failure, TRIT_UNAVAILABLE, NULL,
        "%s: \"%.300s\" was moved, replaced or deleted while the daemon runs; put it "
        "back, or restart tritd",
        what, held->path);
}
