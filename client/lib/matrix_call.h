/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix of a file that is an argument of a call. */
#ifndef LIB_MATRIX_CALL_H
#define LIB_MATRIX_CALL_H

#include <trit.h>

#include "drive/matrix.h"

/* The matrix as a tensor [rows, columns], which borrows it. */
struct trit_tensor matrix_tensor(struct matrix *matrix, enum trit_dtype dtype,
                                 const struct matrices *matrices);

#endif
