/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix of a file that the caller opened. */
#ifndef LIB_MATRIX_HANDLE_H
#define LIB_MATRIX_HANDLE_H

#include "drive/matrix.h"

struct trit_matrix {
    struct matrix matrix;
    struct failure failure; /* why it could not be read */
};

#endif
