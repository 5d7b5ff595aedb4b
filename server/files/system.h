/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by files and folders that get their name at the end. */
#ifndef FILES_SYSTEM_H
#define FILES_SYSTEM_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Fails with "cannot WHAT: ..." and the status that errno stands for. Returns -1. */
int fail_errno(struct failure *failure, const char *what);

/* A descriptor of the folder that an output gets its name in. -1: *failure, which names a
 * folder that does not exist. */
int open_output_folder(const char *folder, struct failure *failure);

/* Reserves the disk's space for a file of so many bytes, which makes writing it much cheaper.
 * -1: there is not so much. Where the file system cannot reserve, and for small files, nothing
 * is done. */
int reserve_space(int fd, uint64_t bytes, struct failure *failure);

/* Fills in `.NAME.trit-XXXXXXXX`, which is unlikely to be taken. A long name is cut to
 * fit a directory entry. Returns -1 and errno without random bytes. */
int temporary_name(char temporary[NAME_MAX], const char *name);
#define TEMPORARY_MARK ".trit-"

/* The same for `.NAME.old-XXXXXXXX`, what a folder that is replaced is called meanwhile. It
 * is complete, so it is not removed as a leftover. */
int aside_name(char aside[NAME_MAX], const char *name);

/* `.NAME.trit-XXXXXXXX` of an unfinished output that another process may go on with: the
 * digits are a hash of the name. */
void kept_name(char kept[NAME_MAX], const char *name);
/* That of the notes about it: with this behind it. */
#define KEPT_NOTES ".log"

/* Is it a temporary name of `name`? That of notes is one, too. */
bool is_temporary_name(const char *temporary, const char *name);

#endif
