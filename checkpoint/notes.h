/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about the files of a checkpoint that is a folder. */
#ifndef CHECKPOINT_NOTES_H
#define CHECKPOINT_NOTES_H

#include "checkpoint/findings.h"
#include "files/notes.h"

/* Adds a finding for each note: index_disagrees, duplicate (errors), not_in_index (a
 * warning: the tensor is taken along). */
void findings_add_notes(struct file_findings *findings, const struct reader_note *notes,
                        size_t count);

#endif
