/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a layer with its latents, which were brought to its rotated basis. Whoever rotated
 * the layer may have rounded otherwise, so that weights close to the threshold have another
 * code, and scales another rounding. What differs is counted by how close it is. */
#ifndef CHECKPOINT_ROTATED_H
#define CHECKPOINT_ROTATED_H

#include "checkpoint/explained.h"
#include "checkpoint/findings.h"

/* How far a difference is from what rounding explains, relative to the group's scale. */
enum closeness {
    CLOSE_F32, /* within 2^-16: another order of sums in f32 */
    CLOSE_16,  /* within 2^-7: rotated weights that were rounded to 16 bits */
    NOT_CLOSE,
    CLOSENESSES,
};

struct kernels;

struct rotated_difference {
    bool compared;
    uint64_t codes[CLOSENESSES], scales[CLOSENESSES];
};

/* Adds what differs in some rows, whose latents are F32. False: memory ran out, or a code is
 * not -1, 0 or +1. */
bool rotated_feed(struct rotated_difference *difference, const struct kernels *kernels,
                  const struct explained *what);

/* The findings of a layer from the index `first` on that its codes or scales differ: notes if
 * rounding in f32 explains all of it, undecided if rounding to 16 bits does. */
void findings_judge_difference(struct file_findings *findings, size_t first,
                               const struct rotated_difference *difference);

/* They are undecided: the layer's basis is not known. `why` says what is missing. */
void findings_judge_unknown(struct file_findings *findings, size_t first,
                            const char *why);

#endif
