/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that takes its name when it is complete. Its files are written into a
 * temporary folder `.NAME.trit-XXXXXXXX` beside the target; the commit flushes that
 * folder and renames it. A failure before the rename leaves the target as it was. A crash
 * does too, and may leave the temporary folder.
 *
 * A folder that is replaced changes places with the new one in one step, and is removed
 * then. Where the file system cannot exchange two names, the old folder is renamed to a
 * temporary name first: a crash between the two steps leaves it whole under that name. */
#ifndef FILES_FOLDER_TARGET_H
#define FILES_FOLDER_TARGET_H

#include "base/status.h"
#include "files/target.h"

struct folder_target;

/* TARGET_NEW: ALREADY_EXISTS where the name is taken. TARGET_REPLACE: a symbolic link is
 * replaced itself, what it leads to stays. A folder is replaced only where it is empty,
 * or holds files and links alone and one of them is named *.safetensors; else
 * INVALID_ARGUMENT. */
int folder_target_open(struct folder_target **target, const char *path,
                       enum target_mode mode, struct failure *failure);

/* The descriptor of the temporary folder, in which the caller creates files. It flushes
 * and closes them before the commit. */
int folder_target_fd(const struct folder_target *target);

/* Once. After success the folder has its name and survives a power failure. UNAVAILABLE
 * from the flush of its parent, or from the removal of the folder that it replaced: the
 * new folder has its name already, and the message says so. */
int folder_target_commit(struct folder_target *target, struct failure *failure);

/* Without a commit it removes the temporary folder with all that it holds. NULL is
 * harmless. */
void folder_target_close(struct folder_target *target);

#endif
