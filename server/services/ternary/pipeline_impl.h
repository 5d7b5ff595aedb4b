/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a pipeline: what bytes that come, tiles that are merged and tiles that leave
 * ask of each other. */
#ifndef TERNARY_PIPELINE_IMPL_H
#define TERNARY_PIPELINE_IMPL_H

#include "services/ternary/pipeline.h"

/* A full tile goes to the pool, or is computed here. -1: no memory. */
int pipeline_submit(struct pipeline *pipeline, struct tile *tile);

/* A stream's reply: [scales as one message][the output as one message]. */
void pipeline_emit(struct pipeline *pipeline, struct tile *tile);

/* The tile waits for a unary reply. It no longer counts as in flight: the reply needs
 * all of them. */
void pipeline_hold(struct pipeline *pipeline, struct tile *tile);

/* Gives a tile that was in flight back. */
void pipeline_recycle(struct pipeline *pipeline, struct tile *tile);

#endif
