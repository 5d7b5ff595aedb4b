/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary files and folders `.NAME.trit-XXXXXXXX` of a process that was killed. The
 * process that writes one holds a lock on it (flock), which ends with the process. So the
 * process of one without a lock has ended. The next run with the same output removes it. */
#ifndef FILES_LEFTOVER_H
#define FILES_LEFTOVER_H

#include <stdbool.h>

/* Takes the lock on a temporary file or folder that was just created; it ends when fd is
 * closed. False: it has a name (`named`), and another process took it for a leftover, so it
 * is gone or soon will be; create another one. A file system without locks is no failure:
 * nothing is removed there. */
bool leftover_lock(int fd, bool named);

/* Removes the leftovers of an output NAME in the folder `parent`: files, links and files in
 * folders; never what lies deeper, what another user owns, or what is locked. What cannot
 * be removed stays, and so does what begins with `kept` (NULL: nothing). */
void leftovers_remove(int parent, const char *name, const char *kept);

/* Removes the files and links in the folder `name`, but no folders. */
void remove_files(int parent, const char *name);

#endif
