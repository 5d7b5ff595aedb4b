/* SPDX-License-Identifier: Apache-2.0 */
/* The variables of Keras 3, which are named by the class of their layer and by numbers:
 * "layers/dense_1/vars/0". A kernel lies as [inputs, units], an embedding as [words, width]. */
#ifndef CHECKPOINT_KERAS_NAMES_H
#define CHECKPOINT_KERAS_NAMES_H

#include "files/table.h"

enum keras_kind {
    KERAS_KERNEL, /* a matrix [in, out] */
    KERAS_EMBEDDING,
    KERAS_POSITIONS,
    KERAS_NORM,
    KERAS_OTHER, /* vectors, convolutions, what the optimizer keeps */
};

bool table_is_keras(const struct tensor_table *table);

enum keras_kind keras_kind(const struct tensor_entry *entry);

/* Index of the scale of a ternary kernel: U8 [a fifth of the inputs, units], then the bias if
 * there is one, then a scalar. SIZE_MAX: it is none. */
size_t keras_scale(const struct tensor_table *table, const struct tensor_entry *entry);

#endif
