/* SPDX-License-Identifier: Apache-2.0 */
/* The values t*s of a matrix in any encoding, some rows at a time. */
#ifndef CHECKPOINT_DECODE_H
#define CHECKPOINT_DECODE_H

#include "base/status.h"
#include "checkpoint/form.h"
#include "kernels/kernels.h"

/* A matrix [rows, columns] as a file stores it. All memory is borrowed. */
struct encoded_matrix {
    uint64_t rows, columns;
    struct layer_terms terms;
    enum trit_dtype dtype; /* of dense data */
    const void *data;
    const void *scales; /* separate from the data; NULL: the encoding has none */
    enum trit_dtype scales_dtype; /* their type: F32, F16 or BF16 */
};

/* The type in which the scales are stored. They were rounded to it. */
enum trit_dtype matrix_held_type(const struct encoded_matrix *matrix);

/* Writes rows [first, first + count) to `values`. False: a code is not -1, 0 or +1. Call
 * it between kernels_enter and kernels_leave. */
bool matrix_decode(const struct kernels *kernels, const struct encoded_matrix *matrix,
                   uint64_t first, uint64_t count, float *values);

/* Element `index` of an array of F32, F16 or BF16, widened. */
float float_at(enum trit_dtype dtype, const void *array, uint64_t index);

/* Does another of F32, F16 and BF16 hold the elements of an array exactly? NaN stays NaN. */
bool floats_fit(enum trit_dtype from, const void *array, enum trit_dtype to,
                uint64_t count);

/* False: element *bad of an array of F32, F16 or BF16 is NaN or infinite. */
bool floats_are_finite(enum trit_dtype dtype, const void *array, uint64_t count,
                       uint64_t *bad);

/* INVALID_ARGUMENT: element `bad` of the array, which begins with row `first` of a matrix, is
 * not finite. */
int refuse_non_finite(enum trit_dtype dtype, const void *array, uint64_t bad,
                      uint64_t first, uint64_t columns, struct failure *failure);

/* Writes `count` elements of an array of F32, F16 or BF16 as another of these types, rounded
 * once to nearest even. False: it rounds element *bad, which is finite and not 0, to 0 or
 * infinity. NaN stays NaN. */
bool floats_convert(enum trit_dtype from, const void *array, enum trit_dtype to,
                    void *out, uint64_t count, uint64_t *bad);

#endif
