/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a run that was interrupted go on where it was. While the output of a plan is written,
 * a journal `.NAME.trit-XXXXXXXX.log` next to it lists the tensors that are on the disk, the
 * CRC-32C of their bytes, and the reports of their matrices. A later run of the same request
 * uses a tensor again if
 *
 *   - the journal is of the same request, version, input files and output tensors (its key),
 *   - it has the reports of all matrices in the tensor, and
 *   - the unfinished output has bytes with that CRC there.
 *
 * Everything else is computed again. A record is written after the data that it speaks of
 * were flushed; a record that is damaged ends the journal.
 *
 * The caller's thread, except for what the writer calls. */
#ifndef DRIVE_RESUME_H
#define DRIVE_RESUME_H

#include "drive/plan_cursor.h"
#include "drive/progress.h"
#include "drive/resume_key.h"
#include "files/writer.h"

struct resume;

enum { RESUME_FLUSH_BYTES = 64 << 20 }; /* so much output does not wait either */

/* Opens the journal, before the writer, which takes *mode. *out stays NULL where the run has
 * to go without: another process writes the same output, or no file can be created. -1: no
 * memory. */
int resume_open(struct resume **out, const struct resume_asked *asked,
                const struct plan *plan, const struct reader *reader,
                enum target_mode *mode, struct failure *failure);

/* Checks what can be used again. -1: the run has to stop, or no memory. */
int resume_begin(struct resume *resume, struct writer *writer, struct progress *progress,
                 struct failure *failure);

/* Is the piece done already? Then nothing may be put for it; of a matrix, *report is its
 * report. Any thread. -1: it is, but cannot be read. */
int resume_has(const struct resume *resume, const struct plan_piece *piece,
               struct trit_report *report, struct failure *failure);

/* The piece was put. `report` NULL: it is no matrix. -1: the output cannot be flushed, which
 * is final. */
int resume_took(struct resume *resume, const struct plan_piece *piece,
                const struct trit_report *report, struct failure *failure);

/* Before the writer is destroyed. `keep`: another process will go on; otherwise the journal
 * is removed. NULL is harmless. */
void resume_close(struct resume *resume, bool keep);

/* Removes what an interrupted run left unfinished of this output. */
void resume_discard(const char *output);

#endif
