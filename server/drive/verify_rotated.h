/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the verification: layers in a rotated basis (checkpoint/rotation.h). */
#ifndef DRIVE_VERIFY_ROTATED_H
#define DRIVE_VERIFY_ROTATED_H

#include "drive/verify_explain.h"

/* Reads the rotation of the file, unless there are no latents, or they are in a rotated basis
 * themselves. */
int verify_read_rotation(struct verifying *v);

/* Says in the note about the basis what becomes of the latents. */
void verify_note_rotation(struct verifying *v);

/* Whether the tensor must be compared in another basis than that of the latents. */
enum rotation_state verify_rotation_of(const struct verifying *v,
                                       const struct match_pair *pair, uint64_t columns,
                                       struct rotated_basis *basis);

/* On a lane: how close a layer that differs is to its rotated latents. */
int verify_rotated_run(struct verify_piece *piece, struct subject *subject,
                       struct failure *failure);

/* On the main thread: judges the findings from `first` on. */
void verify_rotated_take(struct verifying *v, const struct verify_piece *piece,
                         size_t first);

#endif
