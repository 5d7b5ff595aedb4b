/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the comparison of two checkpoints: shared by its files. */
#ifndef DRIVE_DIFF_IMPL_H
#define DRIVE_DIFF_IMPL_H

#include "drive/diff.h"

/* What is compared. */
enum diff_kind {
    DIFF_LAYER,   /* a layer of A with one of B */
    DIFF_EXPERTS, /* a layer of experts with the layers of the other side, one each */
    DIFF_OTHER,   /* tensors that are not layers on both sides */
    DIFF_ONLY,    /* one side has it alone */
};

struct diff_piece {
    enum diff_kind kind;
    bool of_b;        /* EXPERTS, ONLY: the tensor `a` is one of B */
    size_t a, b;      /* EXPERTS, ONLY: b is not used */
    const char *name; /* by which it is compared */
    /* Found: */
    bool is_layer; /* `diff` says what differs; else `what` */
    struct layer_diff diff;
    char what[TRIT_MESSAGE_BYTES_MAX + 32]; /* "": equal */
};

/* ---- which tensor with which (diff_pairs.c) ------------------------------------------- */

/* Which side is the one with experts in one tensor. */
struct diff_experts {
    const struct side *one, *each;
    const struct compared_names *one_names, *each_names;
};
struct diff_experts diff_experts_of(const struct diffing *d, bool of_b);

/* Finds the experts that the other side has in one tensor. */
int diff_take_experts(struct diffing *d);

/* The next piece, from d->next on. False: there is none. */
bool diff_next(const struct diffing *d, size_t *next, struct diff_piece *piece);

/* ---- one piece, on a lane (diff_tensors.c) -------------------------------------------- */

int diff_tensors(struct diffing *d, struct diff_piece *piece,
                 struct progress_piece *progress, struct failure *failure);

/* ---- what was found, on the main thread (diff_result.c) --------------------------------- */

int diff_take(struct diffing *d, const struct diff_piece *piece, struct failure *failure);

/* ---- keys of GGUF, after all pieces (diff_keys.c) -------------------------------------- */

int diff_keys(struct diffing *d);

#endif
