/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the pipeline. */
#ifndef TERNARY_PIPELINE_IMPL_H
#define TERNARY_PIPELINE_IMPL_H

#include "services/ternary/pipeline.h"

/* The tile that the input fills next. NULL: no memory. */
struct tile *pipeline_next_tile(struct pipeline *pipeline, struct input *input);

/* Whether the loop computes tiles of so many elements by itself; whether it does so because
 * the tensor is tiny. */
bool pipeline_computes_here(const struct pipeline *pipeline, uint64_t elements);
bool pipeline_is_tiny(const struct pipeline *pipeline);

/* Whether the loop computes such a tile where its bytes were received, whatever the size of the
 * tensor. */
bool pipeline_computes_directly(const struct pipeline *pipeline, uint64_t elements);

/* The input's part of a tile is complete. */
int pipeline_filled(struct pipeline *pipeline, struct input *input, struct tile *tile);

/* Gives a full tile to the pool, or computes it here. A tile whose bytes the worker copies may
 * wait for more of them, until pipeline_submit_bundle. -1: no memory. */
int pipeline_submit(struct pipeline *pipeline, struct tile *tile);

/* A unary call's tiles that are under way count as bytes that the peer has sent, so that their
 * memory and the stream's window together are bounded. */
void pipeline_keep_credit(struct pipeline *pipeline);

/* Bytes that the worker copies from the client's memory, or to it, need memory only while it
 * computes; latents that are hashed, until the tile is merged. The second function gets memory
 * for the others; -1: there is none. */
void pipeline_plan_scratch(const struct pipeline *pipeline, struct tile *tile);
int pipeline_prepare_copies(struct pipeline *pipeline, struct tile *tile);

/* Gives the tiles that wait to the pool. */
void pipeline_submit_bundle(struct pipeline *pipeline);

/* The input has the latents, and the loop hashes them as they arrive: their tiles do not keep
 * them until they are merged. */
bool pipeline_hashes(const struct pipeline *pipeline, const struct input *input);

/* Counts bytes of an input that have arrived. */
void pipeline_received(struct pipeline *pipeline, struct input *input, uint64_t count);

/* The tile of the input's next byte. NULL: no memory. */
struct tile *pipeline_next_tile(struct pipeline *pipeline, struct input *input);

/* How many bytes of the input the tile still needs, and whether it has none. */
uint64_t pipeline_tile_needs(struct pipeline *pipeline, const struct input *input,
                             struct tile *tile);
bool pipeline_tile_is_empty(struct pipeline *pipeline, const struct input *input,
                            struct tile *tile);

/* Copies bytes that have arrived into tiles. May end the call. -1: call->failure. */
int pipeline_fill(struct pipeline *pipeline, struct input *input, const uint8_t *bytes,
                  size_t count);

/* The same for a whole tile of an input, whose worker copies the bytes. */
int pipeline_fill_from(struct pipeline *pipeline, struct input *input, struct tile *tile,
                       const uint8_t *source);

/* Sends a merged tile in a stream: one message with the separate scales, if there are
 * any, and one with the output. */
void pipeline_emit(struct pipeline *pipeline, struct tile *tile);

/* Keeps a merged tile for a unary reply. It no longer counts as in flight, because the
 * reply needs all tiles. */
void pipeline_hold(struct pipeline *pipeline, struct tile *tile);

/* Recycles a tile that was in flight. */
void pipeline_recycle(struct pipeline *pipeline, struct tile *tile);

#endif
