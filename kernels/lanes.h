/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical sums (NUMERICS.md) of one long group whose elements come in pieces, so that
 * the group need not be in memory. Lane j adds the elements j, j + 16, ... of the group, as
 * the kernels do, so the sums have the same bits. Every piece but the last is a multiple of
 * GROUP_LANES elements. Plain loops, the same for every ISA; call them between
 * kernels_enter and kernels_leave. */
#ifndef KERNELS_LANES_H
#define KERNELS_LANES_H

#include "kernels/kernels.h"

enum { GROUP_LANES = 16 };

/* Zeroed: no element yet. */
struct magnitude_lanes {
    double sum[GROUP_LANES];
};

void magnitude_lanes_add(struct magnitude_lanes *lanes, enum trit_dtype dtype,
                         const void *in, size_t count);

/* The group's scale, rounded to f32. Infinite: some element is not finite. */
float magnitude_lanes_mean(const struct magnitude_lanes *lanes, uint64_t divisor);

/* Zeroed: no element yet. */
struct sum_lanes {
    double energy[GROUP_LANES], error[GROUP_LANES], dot[GROUP_LANES], norm[GROUP_LANES];
    uint64_t beyond; /* a projection: elements beyond the threshold */
};

/* Of a projection with scale `s`. */
void sum_lanes_project(struct sum_lanes *lanes, enum trit_dtype dtype, const void *in,
                       size_t count, float s);
struct group_sums sum_lanes_projected(const struct sum_lanes *lanes, float s);

/* Of latents and a claim t * s. */
void sum_lanes_claim(struct sum_lanes *lanes, enum trit_dtype dtype, const void *in,
                     const int8_t *t, size_t count, float s);
struct group_sums sum_lanes_claimed(const struct sum_lanes *lanes);

#endif
