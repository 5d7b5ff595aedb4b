/* SPDX-License-Identifier: Apache-2.0 */
/* Ternary kernels of Keras 3: of TernaryDense, and of Dense after quantize("ternary"). */
#ifndef CHECKPOINT_KERAS_H
#define CHECKPOINT_KERAS_H

#include "checkpoint/foreign_form.h"

/* As foreign_form_of. False too where the file does not say how many inputs there are. */
bool keras_form_of(const struct tensor_table *table, const struct tensor_entry *entry,
                   struct foreign_form *form, struct tensor_entry *dense, size_t *scales);

/* The code of weight `digit` of those in a byte, as keras.quantizers.unpack_ternary has it. */
unsigned keras_code(uint8_t byte, uint64_t digit);

#endif
