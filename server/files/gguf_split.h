/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a split GGUF file say of the whole (split.no, split.count,
 * split.tensors.count), compared with the files that were read. llama.cpp refuses a model
 * whose parts contradict these keys. */
#ifndef FILES_GGUF_SPLIT_H
#define FILES_GGUF_SPLIT_H

#include "files/notes.h"
#include "files/table.h"

/* State while the parts are read; zeroed at first except for `files`. */
struct gguf_split {
    size_t files;            /* of the checkpoint, by its folder */
    size_t parts;            /* that were taken */
    uint64_t tensors;        /* that the parts list so far */
    uint64_t promised;       /* tensors of the whole, by the first part that says so */
    const char *promised_by; /* that part's file; NULL: none says so */
    const char *with;        /* the first part that has split.count; NULL: none */
    const char *without;     /* the first one that has not */
};

/* Takes the table of one GGUF file; `number`: from 0, its place among the files. Notes what its
 * keys contradict. `name` must outlive the notes. */
int gguf_split_take(struct gguf_split *split, const struct tensor_table *part,
                    const char *name, size_t number, struct reader_notes *notes,
                    struct failure *failure);

/* After the last part: notes the tensors that are missing, and a part that has no such keys
 * beside others that have. Nothing where a part is missing. */
int gguf_split_end(const struct gguf_split *split, struct reader_notes *notes,
                   struct failure *failure);

#endif
