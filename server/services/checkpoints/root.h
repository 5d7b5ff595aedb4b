/* SPDX-License-Identifier: Apache-2.0 */
/* The directory below which the service Checkpoints reads and writes. Requests name paths
 * relative to it, and no path leads out of it: not by "..", not absolute, not through a
 * symbolic link. Any thread. */
#ifndef CHECKPOINTS_ROOT_H
#define CHECKPOINTS_ROOT_H

#include <stdbool.h>

#include "base/status.h"

struct root {
    int fd;                /* of the directory; -1: the service is off */
    const char *directory; /* its path; borrowed */
    bool walks;            /* without openat2, as on systems that lack it; tests set it */
};

/* `directory` NULL: the service is off. INVALID_ARGUMENT: it is not a directory that can be
 * opened, or the system has no /proc. */
int root_open(struct root *root, const char *directory, struct failure *failure);
void root_close(struct root *root);

/* FAILED_PRECONDITION: the path of the root leads to another directory than at the start, or
 * to none. Who looks there would not find what the daemon reads and writes. */
int root_check(const struct root *root, struct failure *failure);

/* A path that was found. It holds the folder open, so that `path`, which goes through that
 * descriptor, means the same folder whatever is renamed meanwhile. files/source.h does not
 * follow a link behind such a path. */
enum { ROOTED_PATH_BYTES = 320 };
struct rooted {
    int fd; /* -1: none */
    char path[ROOTED_PATH_BYTES];
};

/* Finds a regular file or a folder; "." is the root itself. `field` is the field of the request, for messages.
 * INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED: see checkpoints.proto; and root_check. */
int root_find(const struct root *root, const char *field, const char *path,
              struct rooted *found, struct failure *failure);
/* Finds the folder of a file or folder that is to be written; the name itself need not
 * exist. A slash at the end of `path`, which says that it is a folder, stays. */
int root_find_output(const struct root *root, const char *field, const char *path,
                     struct rooted *found, struct failure *failure);

/* In a failure's message, replaces the path that was found by the one that was asked for. */
void rooted_rename(const struct rooted *found, const char *path, struct failure *failure);

void rooted_close(struct rooted *found); /* harmless on {.fd = -1} */

#endif
