/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a checkpoint, of which at most SOURCES_OPEN_MAX are open while they are not
 * read: the one that was read longest ago is closed, and opened again when it is needed. A
 * file that another one has replaced meanwhile is noticed. */
#ifndef FILES_SOURCES_H
#define FILES_SOURCES_H

#include "files/source.h"

enum { SOURCES_OPEN_MAX = 16 };

struct sources;

/* NULL: out of memory. */
struct sources *sources_create(size_t count);
void sources_destroy(struct sources *sources); /* NULL is harmless */

/* Takes a source as the one at `index`, which is free. */
void sources_put(struct sources *sources, size_t index, struct source *source);

/* The source at `index`, for its name and size; NULL: there is none. */
const struct source *sources_at(const struct sources *sources, size_t index);

/* As source_read. Any number of threads may read. */
int sources_read(struct sources *sources, size_t index, uint64_t offset, void *buffer,
                 uint64_t count, struct failure *failure);
bool sources_try_read(struct sources *sources, size_t index, uint64_t offset,
                      void *buffer, uint64_t count); /* as source_try_read */

/* A small file of the folder that sources_unchanged looks at too, whoever reads it. None if it
 * is not there, or no regular file. */
int sources_watch(struct sources *sources, const char *folder, const char *name,
                  struct failure *failure);

/* As source_unchanged, for each that is there. */
int sources_unchanged(struct sources *sources, struct failure *failure);
int sources_unchanged_at(struct sources *sources, size_t index, struct failure *failure);

/* Whether all files, opened one after another, were in their folder at one time: as
 * source_in_place, for each that is there. */
int sources_in_place(struct sources *sources, struct failure *failure);

#endif
