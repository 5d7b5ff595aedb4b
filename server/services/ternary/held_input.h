/* SPDX-License-Identifier: Apache-2.0 */
/* Packing a tensor with one scale into an encoding with several. The scale may come last
 * (I2_S), and the rows of a byte are far apart (HF_BITNET), so the input, 2 bits an element,
 * is held whole. Its tiles are made when it is complete, as many as may be under way. */
#ifndef TERNARY_HELD_INPUT_H
#define TERNARY_HELD_INPUT_H

#include "services/ternary/pipeline.h"

struct held_input {
    struct block bytes; /* grows as they arrive */
    size_t count;
    bool making; /* tiles are being made */
};

/* Has the pipeline hold its input if the task needs that. -1: no memory. */
int held_input_start(struct pipeline *pipeline);

/* When no worker uses it. Harmless if there is none. */
void held_input_free(struct pipeline *pipeline);

#endif
