/* SPDX-License-Identifier: Apache-2.0 */
/* A folder or file that a daemon holds open, and the path under which the next daemon will
 * look for it. When the path is moved, or another one takes its place, what is written through
 * the open descriptor is not found again. */
#ifndef BASE_HELD_PATH_H
#define BASE_HELD_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/status.h"

struct held_path {
    char *path; /* NULL: none, which always holds */
    dev_t device;
    ino_t inode;
};

/* Notes what is at DIRECTORY/NAME now; `name` NULL: the directory itself. If nothing is there,
 * or there is no memory, it is none. Afterwards held_path_forget. */
void held_path_note(struct held_path *held, const char *directory, const char *name);
void held_path_forget(struct held_path *held);

/* Whether the path still leads there. Blocks as stat does. Any thread. */
bool held_path_is_same(const struct held_path *held);

/* The same, or UNAVAILABLE with the path; `what` begins the message. */
int held_path_check(const struct held_path *held, const char *what,
                    struct failure *failure);

#endif
