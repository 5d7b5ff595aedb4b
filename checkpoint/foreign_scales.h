/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong scales in weights that other programs packed: those that are NaN, infinite, negative
 * or lost. A group is the run of weights in one row that share a scale. It is lost if its
 * scale is 0 although its codes are those of other weights. A negative scale flips every
 * sign: no writer makes one, except MLX's, whose biases say which code is which. */
#ifndef CHECKPOINT_FOREIGN_SCALES_H
#define CHECKPOINT_FOREIGN_SCALES_H

#include "checkpoint/findings.h"
#include "checkpoint/foreign_form.h"

struct faulty_groups {
    uint64_t count, first; /* first: row * groups of a row + group in the row */
    float scale;           /* of the first */
};

struct scale_faults {
    struct faulty_groups lost, negative, non_finite;
};

/* Has one of these rows a scale that is 0, or may be wrong otherwise? `scales` are the runs
 * of foreign_rows_of. */
bool foreign_has_suspect_scale(const struct foreign_form *form, uint64_t columns,
                               uint64_t first, uint64_t count, const void *scales);

/* Adds the faults of these rows; rows come in order. The other arguments are those of
 * foreign_decode. */
void foreign_find_faults(const struct foreign_form *form, uint64_t columns,
                         uint64_t first, uint64_t count, const void *data,
                         const void *scales, const void *biases,
                         struct scale_faults *faults);

/* INVALID_ARGUMENT: weights with such scales are not packed, or, `dense`, not unpacked.
 * Unpacked weights may have a scale of 0 or a negative one: they keep their values. */
int scale_faults_refuse(const struct scale_faults *faults, bool dense,
                        struct failure *failure);

/* Nothing where there are no faults. */
void findings_add_scale_faults(struct file_findings *findings, const char *matrix,
                               const struct scale_faults *faults);

#endif
