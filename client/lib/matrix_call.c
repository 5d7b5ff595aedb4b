/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/matrix_call.h"

int matrix_call_ended(enum trit_status status, const struct trit_error *error,
                      struct failure *failure)
{
    if (status == TRIT_OK)
        return 0;
    if (failure->status != TRIT_OK)
        return -1;
    return fail(failure, status, error->field, "%s: %s", trit_status_name(status),
                error->message);
}

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
