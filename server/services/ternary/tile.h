/* SPDX-License-Identifier: Apache-2.0 */
/* A tile: the unit of buffering and of work. Its input bytes are the one copy
 * that tensor bytes get; its output is lent to the stream as it is.
 *
 *   FILLING --full--> RUNNING --job is back--> DONE --merged, in a stream--> SENDING
 *                                               |                              ^
 *                                               +--merged, unary--> HELD --reply
 *
 * A tile without output is recycled when it is merged; any other, when its last slice
 * is released. Recycling makes it FILLING again. A cancelled call recycles its tiles in
 * every state but RUNNING. The worker sees only the tile and the constant `task` of its
 * pipeline. */
#ifndef TERNARY_TILE_H
#define TERNARY_TILE_H

#include "base/states.h"
#include "h2/session.h"
#include "services/call_job.h"
#include "services/ternary/task.h"
#include "work/blocks.h"

struct pipeline;

enum { TILE_HASH_BYTES = 32 }; /* SHA-256 */

enum tile_state {
    TILE_FILLING,
    TILE_RUNNING,
    TILE_DONE,
    TILE_HELD,
    TILE_SENDING,
    TILE_STATES
};
extern const struct states tile_states;

struct tile {
    struct call_job job;
    struct list link; /* in its pipeline's tiles, or the spare ones of `tiles` */
    struct pipeline *pipeline;
    enum tile_state state;
    struct tile_span span;

    struct block in, reference, out, side;
    size_t in_filled, reference_filled;
    const uint8_t *out_bytes; /* in `in` or in `out`; NULL = none */
    /* inside `side` */
    float *scales;
    float *wide_scales;  /* f16 scales that came separately, widened */
    uint8_t *scales_out; /* as they go out: f32 or f16; NULL = none */
    size_t scale_out_bytes;
    uint8_t *codes;
    int8_t *trits; /* of an input whose bytes hold rows far apart, parted */
    struct group_sums *sums;
    uint8_t *inexact; /* a byte a group: 1 where it is not exactly ternary */
    uint8_t (*inexact_hashes)[TILE_HASH_BYTES]; /* of those groups' bytes, in order */

    /* results */
    struct ternary_counts counts;
    struct ternary_check check;
    uint32_t out_crc, scales_crc;
    uint64_t bad_element;    /* unpack: flat index of what it refuses; UINT64_MAX */
    bool bad_is_lost;        /* unpack: the dtype cannot hold its value; else its code */
    uint64_t unlike_group;   /* verify: whose blocks differ in scale; UINT64_MAX */
    struct occurrences lost; /* ternarize: groups whose scale the output's type loses */
    float lost_scale;        /* the first of them */
    uint64_t inexact_count;
    bool hash_failed; /* no memory for a hash */
    uint64_t kernel_ns;

    /* on the way out */
    struct h2_slice head_slice, out_slice, scale_head_slice, scale_slice;
    uint8_t head[64], scale_head[64];
    uint32_t lent; /* slices not yet released */
};

/* Memory for the results of span; the input blocks are the pipeline's affair. -1:
 * budget or memory exhausted, the tile is as before. */
int tile_prepare(struct tile *tile, const struct task *task, struct blocks *blocks);

/* Results of nothing yet; tile_prepare calls it. */
void tile_results_init(struct tile *tile);

/* Gives back what a merged tile no longer needs: all but out and scales_out. */
void tile_trim(struct tile *tile, const struct task *task, struct blocks *blocks);
void tile_release_blocks(struct tile *tile, struct blocks *blocks);

#endif
