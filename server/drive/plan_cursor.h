/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through the pieces of a plan in the input's order: the matrices of each layer, and
 * each tensor that is copied. */
#ifndef DRIVE_PLAN_CURSOR_H
#define DRIVE_PLAN_CURSOR_H

#include "checkpoint/plan.h"

struct plan_cursor {
    size_t index;    /* of the tensor in the input's table */
    uint64_t number; /* of the matrix in a layer */
};

struct plan_piece {
    size_t index;
    uint64_t number;
    bool is_layer; /* it is a matrix of a layer, or else a tensor that is copied */
    struct matrices matrices;
    char name[MATRIX_NAME_BYTES];
};

/* The next piece; moves the cursor. False: there is none. */
bool plan_cursor_next(const struct plan *plan, struct plan_cursor *cursor,
                      struct plan_piece *piece);

/* How many pieces there are. */
uint64_t plan_piece_count(const struct plan *plan);

/* Puts the name of the piece before the failure's message. Returns -1. */
int plan_piece_failed(const struct plan *plan, const struct plan_piece *piece,
                      struct failure *failure);

#endif
