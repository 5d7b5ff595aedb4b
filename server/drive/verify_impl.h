/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the verification: shared by its files. */
#ifndef DRIVE_VERIFY_IMPL_H
#define DRIVE_VERIFY_IMPL_H

#include "checkpoint/biases.h"
#include "checkpoint/difference.h"
#include "checkpoint/foreign_scales.h"
#include "checkpoint/rotated.h"
#include "drive/lanes.h"
#include "drive/verify.h"

/* What one lane does, and what it found: a matrix of a layer, or a tensor that is compared
 * byte for byte. */
struct verify_piece {
    struct match_pair pair; /* latents: CONTENT_NONE if there are none */
    bool is_layer;
    struct matrices matrices;
    uint64_t number;              /* of the matrix */
    char name[MATRIX_NAME_BYTES]; /* of the matrix or the tensor */
    struct trit_report report;
    struct bias_check biases;
    struct scale_faults faults; /* of a layer that another program packed */
    struct difference difference;
    enum rotation_state rotation;      /* of the claim's tensor */
    struct rotated_difference rotated; /* ROTATION_KNOWN, and it differs */
};

/* Does the pieces of all pairs, and collects reports and findings in the pairs' order.
 * Without latents every tensor of the claim is a pair. */
int verify_pieces(struct verifying *v);

/* On a lane: has the engine verify the matrix with its scales and its reference. */
int verify_layer_run(struct verifying *v, struct verify_piece *piece,
                     const atomic_bool *stopped, struct failure *failure);
/* On the main thread: adds what was found, and counts a layer with its last matrix. */
int verify_layer_take(struct verifying *v, struct verify_piece *piece,
                      struct failure *failure);

/* The same for a tensor that is compared with the latents' tensor. */
int verify_other_run(struct verifying *v, struct verify_piece *piece,
                     const atomic_bool *stopped, struct failure *failure);
void verify_other_take(struct verifying *v, const struct verify_piece *piece);

#endif
