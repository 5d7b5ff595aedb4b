/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a journal, and the pieces of its run. */
#ifndef DRIVE_RESUME_PIECES_H
#define DRIVE_RESUME_PIECES_H

#include <stdatomic.h>

#include "drive/journal.h"
#include "drive/plan_cursor.h"
#include "drive/resume_key.h"
#include "files/writer.h"

enum {
    JOURNAL_KEY = 1, /* a part of the key; the first records */
    JOURNAL_REPORT =
        2, /* the number of a piece, and a CheckpointProgress with its report */
    JOURNAL_TENSOR =
        3, /* the index of a tensor of the output, and the CRC of its bytes */
};

/* A tensor of the output. */
struct resume_tensor {
    _Atomic uint32_t crc; /* of what was put so far */
    uint64_t pieces_left; /* that have to be put until it is whole */
    uint32_t noted_crc;   /* of the journal */
    bool noted, reused;
};

struct resume {
    const struct plan *plan;
    struct writer *writer;
    int folder, fd; /* of the journal's folder, and the journal */
    char *output;   /* name of the output in that folder */
    char *name;     /* of the journal */
    uint64_t end;
    bool locked;  /* it is ours */
    bool has_key; /* it has its key */
    bool off;     /* it is no longer written, and is not used again */
    struct resume_key key;
    struct journal waiting;
    uint64_t waiting_bytes, flush_ns, flushed_ns;
    size_t *first_piece; /* of each tensor of the input: the number of its first piece */
    size_t pieces;
    uint64_t *report_at; /* of each piece: where its report is in the journal; 0: none */
    struct resume_tensor *tensors;
};

/* The number of a piece. */
size_t resume_number(const struct resume *resume, const struct plan_piece *piece);

/* The tensors of the output that the piece is put into. */
enum { PIECE_TENSORS_MAX = 3 };
size_t resume_tensors(const struct resume *resume, const struct plan_piece *piece,
                      size_t tensors[PIECE_TENSORS_MAX]);

/* Numbers the pieces of the plan and counts those of each tensor. -1: no memory. */
int resume_number_pieces(struct resume *resume, struct failure *failure);

#endif
