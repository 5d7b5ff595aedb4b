/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about the files of a checkpoint. */
#ifndef CHECKPOINT_NOTES_H
#define CHECKPOINT_NOTES_H

#include "checkpoint/findings.h"
#include "files/notes.h"

/* Adds a finding for each note: index_disagrees, duplicate and truncated are errors;
 * not_in_index is a warning: a tensor that is read all the same, or files that are not read. */
void findings_add_notes(struct file_findings *findings, const struct reader_note *notes,
                        size_t count);

/* The same of a file that is verified. One shard that was named alone is a part of a model:
 * not_in_index is undecided then. */
void findings_add_notes_of_claim(struct file_findings *findings,
                                 const struct reader_note *notes, size_t count);

#endif
