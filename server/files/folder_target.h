/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that gets its name when it is complete. Its files are written into a temporary
 * folder `.NAME.trit-XXXXXXXX` next to the target. The commit flushes that folder and
 * renames it. A failure or a crash before the rename leaves the target unchanged; a crash
 * may leave the temporary folder, which the next folder_target_open of the name removes
 * (leftover.h).
 *
 * An existing folder is exchanged with the new one in one step and then removed. If the
 * file system cannot exchange two names, the old folder is first renamed to
 * `.NAME.old-XXXXXXXX`; a crash between the two steps leaves it complete under that name. */
#ifndef FILES_FOLDER_TARGET_H
#define FILES_FOLDER_TARGET_H

#include "base/status.h"
#include "files/target.h"

struct folder_target;

/* TARGET_NEW: ALREADY_EXISTS if the name exists. TARGET_REPLACE: a symbolic link is
 * replaced, not its target. A folder is replaced only if it is empty, or if it contains
 * only files and links, one of which is named *.safetensors. Otherwise INVALID_ARGUMENT.
 * */
int folder_target_open(struct folder_target **target, const char *path,
                       enum target_mode mode, struct failure *failure);

bool folder_target_is_kept(const struct folder_target *target); /* see TARGET_KEPT */
void folder_target_keep(struct folder_target *target); /* close will leave it there */

/* The descriptor of the temporary folder. The caller creates files in it, and flushes and
 * closes them before the commit. */
int folder_target_fd(const struct folder_target *target);

/* The folder's names are on the disk, and no file is created in it afterwards. */
int folder_target_finish(struct folder_target *target, struct output_mark *mark,
                         struct failure *failure);

/* Call it once. After success the folder has its name and survives a power failure.
 * UNAVAILABLE if flushing its parent or removing the replaced folder failed: the new
 * folder has its name in that case, and the message says so. */
int folder_target_commit(struct folder_target *target, struct failure *failure);

/* Without a commit it removes the temporary folder with its content. NULL is harmless. */
void folder_target_close(struct folder_target *target);

#endif
