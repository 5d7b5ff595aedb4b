/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of an earlier run: what it notes, and what of that can be used again. */
#ifndef DRIVE_RESUME_READ_H
#define DRIVE_RESUME_READ_H

#include "drive/progress.h"
#include "drive/resume_pieces.h"

/* Reads the journal and notes what it has. False: it is of something else, or has no whole
 * key. Otherwise resume->end is the end of its last valid record. */
bool resume_read(struct resume *resume);

/* Reads the report of a piece. -1: it is not valid. */
int resume_read_report(const struct resume *resume, size_t number,
                       struct trit_report *report, struct failure *failure);

/* Of the tensors that the journal notes, keeps those that can be used again. -1: the run
 * has to stop, or no memory. */
int resume_check(struct resume *resume, struct progress *progress,
                 struct failure *failure);

#endif
