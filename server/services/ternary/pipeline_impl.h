/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the pipeline. */
#ifndef TERNARY_PIPELINE_IMPL_H
#define TERNARY_PIPELINE_IMPL_H

#include "services/ternary/pipeline.h"

/* The tile that the input fills next. NULL: no memory. */
struct tile *pipeline_next_tile(struct pipeline *pipeline, struct input *input);

/* Gives a full tile to the pool, or computes it here. -1: no memory. */
int pipeline_submit(struct pipeline *pipeline, struct tile *tile);

/* Sends a merged tile in a stream: one message with the separate scales, if there are
 * any, and one with the output. */
void pipeline_emit(struct pipeline *pipeline, struct tile *tile);

/* Keeps a merged tile for a unary reply. It no longer counts as in flight, because the
 * reply needs all tiles. */
void pipeline_hold(struct pipeline *pipeline, struct tile *tile);

/* Recycles a tile that was in flight. */
void pipeline_recycle(struct pipeline *pipeline, struct tile *tile);

#endif
