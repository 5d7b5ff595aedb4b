/* SPDX-License-Identifier: Apache-2.0 */
/* Packings that store the shape of a weight as numbers in a tensor. */
#ifndef CHECKPOINT_FOREIGN_WORDS_H
#define CHECKPOINT_FOREIGN_WORDS_H

#include "checkpoint/foreign_form.h"
#include "checkpoint/form.h"

/* compressed-tensors' pack-quantized: codes of 2, 4 or 8 bits in I32. */
bool foreign_words_of(const struct tensor_table *table, const struct tensor_entry *entry,
                      const struct checkpoint_options *options, struct foreign_form *form,
                      struct tensor_entry *dense, size_t *scales);

/* gemlite: codes of 2, 4 or 8 bits in words along the columns of [in, out]. */
bool foreign_gemlite_of(const struct tensor_table *table,
                        const struct tensor_entry *entry,
                        const struct checkpoint_options *options,
                        struct foreign_form *form, struct tensor_entry *dense,
                        enum layer_layout *layout, size_t *scales, size_t *biases);

#endif
