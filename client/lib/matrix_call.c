/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/matrix_call.h"

struct trit_tensor matrix_tensor(struct matrix *matrix, enum trit_dtype dtype,
                                 const struct matrices *matrices)
{
    return (struct trit_tensor){.size = sizeof(struct trit_tensor),
                                .dtype = dtype,
                                .rank = 2,
                                .shape = {matrices->rows, matrices->columns},
                                .data = matrix->data,
                                .bytes = matrix->bytes,
                                .read = matrix_read,
                                .read_arg = matrix};
}
