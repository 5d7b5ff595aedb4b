/* SPDX-License-Identifier: Apache-2.0 */
/* Specs of plans: a shape, and defaults for the rest. */
#ifndef TESTS_WORK_SPECS_H
#define TESTS_WORK_SPECS_H

#include "tests/lib/check.h"
#include "work/plan.h"

static inline struct plan_spec spec_of(uint32_t rank, const uint64_t *shape)
{
    struct plan_spec spec = {.dtype = TRIT_F32, .rank = rank, .has_out = true};

    for (uint32_t i = 0; i < rank && i < TRIT_RANK_MAX; i++)
        spec.shape[i] = shape[i];
    return spec;
}

static inline struct plan_spec matrix(uint64_t rows, uint64_t row_len)
{
    return spec_of(2, (const uint64_t[]){rows, row_len});
}

#endif
