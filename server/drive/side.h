/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint whose layers are read as the options and its own record say. */
#ifndef DRIVE_SIDE_H
#define DRIVE_SIDE_H

#include "checkpoint/decode.h"
#include "checkpoint/record.h"
#include "drive/input.h"

struct side {
    struct input input; /* the caller opens it (input_read) */
    struct checkpoint_options rules;
    struct record record;
    struct contents contents;
    bool reciprocals; /* config.json says that layers are divided by their scale */
};

/* Takes the options, which are borrowed, and finds the terms by which layers are read, to be
 * checked with terms_check or input_check_options. -1: the record is malformed. */
int side_read_terms(struct side *side, const struct checkpoint_options *options,
                    struct layer_terms *terms, struct failure *failure);
int side_read_contents(struct side *side, const struct layer_terms *terms,
                       struct failure *failure);
void side_close(struct side *side); /* the input too; harmless on a zeroed one */

/* One matrix of a layer, loaded. */
struct side_matrix {
    struct encoded_matrix matrix;
    void *data, *scales;
    uint64_t data_bytes, scale_bytes;
};

/* The scales alone. The layer must have some. */
int side_load_scales(struct side *side, size_t index, uint64_t number,
                     struct side_matrix *loaded, struct failure *failure);

/* Only rows [first, first + count) of the matrix in the order of `heads`, whatever its
 * layout. Where rows share bytes, as in hf_bitnet, they are given as dense values. */
int side_load_rows(struct side *side, size_t index, uint64_t number,
                   const struct head_order *heads, uint64_t first, uint64_t count,
                   struct side_matrix *loaded, struct failure *failure);

/* INVALID_ARGUMENT: a bias of MLX's layer is not -scale, so the layer is not ternary, and its
 * codes and scales are not all there is. Layers without biases are fine. */
int side_check_biases(struct side *side, size_t index, struct failure *failure);

void side_unload(struct side_matrix *loaded);

#endif
