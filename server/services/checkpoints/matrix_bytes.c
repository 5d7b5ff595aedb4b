/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a matrix, in and out. */
#include <inttypes.h>
#include <string.h>

#include "services/checkpoints/matrix_run.h"

int matrix_run_read(struct matrix_run *run, const struct engine_matrix *from,
                    uint64_t offset, void *to, uint64_t bytes)
{
    struct matrix *matrix = from->matrix;

    if (offset > matrix->bytes || bytes > matrix->bytes - offset)
        return fail(run->failure, TRIT_INVALID_ARGUMENT, "tensor.data",
                    "tensor.data: %" PRIu64 " bytes, but the shape needs more",
                    matrix->bytes);
    return matrix_read(matrix, offset, to, bytes);
}

int matrix_run_write(struct matrix_run *run, const struct tile *tiles, size_t count)
{
    const struct tile_span *first = &tiles[0].span;
    const struct tile_span *last = &tiles[count - 1].span;
    const size_t each = task_scale_out_bytes(&run->task);

    for (size_t i = 0; run->scales && i < count; i++)
        memcpy(run->scales + tiles[i].span.first_group * each, tiles[i].scales_out,
               tiles[i].scale_out_bytes);
    return run->write(run->write_arg, first->out_offset, tiles[0].out_bytes,
                      last->out_offset + last->out_bytes - first->out_offset);
}
