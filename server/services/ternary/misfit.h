/* SPDX-License-Identifier: Apache-2.0 */
/* Why a group cannot be packed. */
#ifndef TERNARY_MISFIT_H
#define TERNARY_MISFIT_H

#include <stdint.h>

struct failure;
struct plan;

enum misfit_kind {
    MISFIT_NONE,
    MISFIT_NOT_FINITE,    /* dense: element `at` is NaN or infinite */
    MISFIT_MAGNITUDES,    /* dense: it has the magnitudes a and, at element `at`, b */
    MISFIT_CODE,          /* the code of element `at` is out of range */
    MISFIT_SCALE,         /* the scale a is not finite, negative, or 0 under codes */
    MISFIT_BLOCKS_DIFFER, /* its blocks in the input have the scales a and b */
    MISFIT_SCALES_DIFFER, /* groups with the scales a and b share one scale in the output
                             */
    MISFIT_ROUNDED,       /* the output's type does not hold the scale a */
    MISFIT_LOST,          /* the output's type rounds the scale a to 0 or infinity */
};

struct misfit {
    enum misfit_kind kind;
    uint64_t group;          /* in the tensor */
    uint64_t first, end, at; /* elements in the tensor */
    float a, b;
};

/* Fills the failure, INVALID_ARGUMENT, of a misfit other than NONE. `field` names the
 * tensor's data. Returns -1. */
int misfit_refuse(const struct misfit *misfit, const struct plan *plan, const char *field,
                  struct failure *failure);

#endif
