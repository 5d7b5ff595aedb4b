/* SPDX-License-Identifier: Apache-2.0 */
/* Puts tensors into an output, in the layout that its plan promised. Several threads may
 * put different pieces at the same time. */
#ifndef CLI_PUT_H
#define CLI_PUT_H

#include "client/cli/plan_cursor.h"
#include "files/reader.h"
#include "files/writer.h"

/* Copies a tensor of the input byte for byte to tensor `index` of the output. */
int put_copy(struct writer *writer, size_t index, struct reader *reader,
             const struct tensor_entry *entry, struct failure *failure);

/* One matrix of a layer, encoded as [out, in]: data, scales (NULL: none) and, where the
 * plan has them, biases. `data` NULL: they were written already, piece by piece. INTERNAL
 * where the sizes are not those of the plan. */
struct encoded {
    const void *data, *scales;
    uint64_t data_bytes, scale_bytes;
};

int put_matrix(struct writer *writer, const struct plan *plan,
               const struct plan_piece *piece, const struct encoded *encoded,
               struct failure *failure);

/* Some bytes of the matrix's data, which keep the layout that they have. */
int put_data(struct writer *writer, const struct plan *plan,
             const struct plan_piece *piece, uint64_t offset, const void *data,
             uint64_t bytes, struct failure *failure);

#endif
