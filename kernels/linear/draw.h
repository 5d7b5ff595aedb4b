/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of linear_draw that tests compare with known answers. */
#ifndef KERNELS_LINEAR_DRAW_H
#define KERNELS_LINEAR_DRAW_H

#include <stdint.h>

/* Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. */
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The quantile of the standard normal distribution, 0 < p < 1: Wichura's AS 241
 * (PPND16), relative error about 1e-16. It uses only operations that IEEE 754 rounds
 * correctly, so every machine gives the same bits. */
double normal_quantile(double p);

#endif
