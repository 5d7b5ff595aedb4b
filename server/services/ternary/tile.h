/* SPDX-License-Identifier: Apache-2.0 */
/* A tile: the unit of buffering and of work. Its input is the only copy that is made of
 * the request's bytes; its output is lent to the stream without a copy.
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

#include "base/limits.h"
#include "base/states.h"
#include "h2/session.h"
#include "proto/codec/codec.h"
#include "services/call_job.h"
#include "services/ternary/misfit.h"
#include "services/ternary/storage_check.h"
#include "services/ternary/task.h"
#include "work/blocks.h"

struct pipeline;

enum {
    TILE_HASH_BYTES = 32, /* SHA-256 */
    TILE_HEAD_BYTES = 96,
    OUT_CHUNK_BYTES = REPLY_CHUNK_BYTES_MAX /* of all out_chunks but the last */
};

enum tile_state {
    TILE_FILLING,
    TILE_RUNNING,
    TILE_DONE,
    TILE_HELD,
    TILE_SENDING,
    TILE_STATES
};
extern const struct states tile_states;

/* A part of an output that is too long for one chunk of a stream. */
struct out_chunk {
    struct h2_slice slice;
    struct tile *tile;
    uint32_t crc32c;
};

struct tile {
    struct call_job job;
    struct list link;       /* in its pipeline, or in the free list (tiles.h) */
    struct list order_link; /* while it waits to be merged (order.h) */
    struct tile *behind;    /* the next one that its job computes; NULL: none */
    _Atomic bool merged;
    struct pipeline *pipeline;
    enum tile_state state;
    struct tile_span span;

    bool prepared; /* tile_prepare was called before it is submitted */
    struct block in, reference, out, side;
    bool shares_in; /* `out` and `side` are in the block of `in`, behind its bytes */
    size_t in_filled, reference_filled;
    /* The loop computes groups as they arrive (pipeline_direct.c), and `in` has at most one of
     * them. */
    bool direct;
    uint64_t direct_groups, direct_ns; /* computed already, and what it took */
    /* Memory of the client (regions.h) that the worker copies to `in` and `reference` first;
     * NULL: they are filled. */
    const uint8_t *in_source, *reference_source;
    /* Memory of the client that the worker copies the output to; NULL: the output is sent. */
    uint8_t *place;
    struct wire_region place_region;
    /* The worker lends its own memory for them, while it computes. */
    bool borrows_in, borrows_reference, borrows_out;
    uint32_t chunks;          /* that are done when the tile is merged */
    const uint8_t *out_bytes; /* in `in` or in `out`; NULL: no output */
    /* in `side`; NULL where the task does not need it */
    float *scales;
    float *wide_scales;  /* separate scales that came as f16 or bf16, as f32 */
    uint8_t *scales_out; /* separate scales of the output: f32 or f16 */
    size_t scale_out_bytes;
    uint8_t *codes;
    int8_t *trits; /* codes of an interleaved input, one per byte */
    struct group_sums *sums;
    float *held_scales;    /* packing: of each group, as the output holds it */
    float *unit_scales;    /* packing: of the input's blocks (task_unit_elements) */
    uint8_t *unit_inexact; /* packing: one byte per such block */
    uint8_t *flat_codes;   /* packing: the codes without the padding between groups */
    struct out_chunk *out_chunks; /* of a tensor in pieces */
    size_t out_chunk_count;
    uint8_t *inexact; /* one byte per group: 1 if it is not exactly ternary */
    uint8_t (*inexact_hashes)[TILE_HASH_BYTES]; /* of the inexact groups' bytes */

    /* results */
    struct ternary_counts counts;
    struct ternary_check check;
    uint32_t out_crc, scales_crc;
    struct unpack_refusal refused; /* unpack; the element is UINT64_MAX: none */
    uint64_t mixed_group;         /* verify: the first whose blocks have different scales;
                                UINT64_MAX: none */
    struct occurrences lost;      /* ternarize: groups whose scale the output loses */
    float lost_scale;             /* of the first of them */
    struct misfit misfit;         /* packing: the first group that does not fit */
    struct occurrences rounded;   /* packing: groups whose scale the output rounds */
    struct storage_check storage; /* verify */
    uint64_t inexact_count;
    uint64_t sample_rows[TRIT_SAMPLES_MAX], near_rows[TRIT_SAMPLES_MAX]; /* merge.h */
    bool hash_failed;                   /* memory ran out */
    uint64_t filed_bytes, filed_groups; /* given to the store */
    uint64_t kernel_ns;

    /* while it is sent */
    struct h2_slice head_slice, out_slice, scale_head_slice, scale_slice;
    uint8_t head[TILE_HEAD_BYTES], scale_head[64];
    uint32_t lent; /* slices that the stream has not released yet */
};

/* Gets memory for output and results, within the account's share. The pipeline gets the memory of the input. -1: the
 * budget or memory is exhausted, and the tile is unchanged. */
int tile_prepare(struct tile *tile, const struct task *task, struct blocks *blocks,
                 struct account *account);

/* The same for a small tile whose input is in `in`, without more memory: output and results
 * are placed behind it. False: the block has no room, and the tile is unchanged. */
bool tile_share(struct tile *tile, const struct task *task);

/* The same with memory of the caller, for an owner without a pipeline: `side` has
 * tile_side_bytes, `out` the bytes of the output if it is not written in place. */
size_t tile_side_bytes(const struct tile *tile, const struct task *task);
void tile_use(struct tile *tile, const struct task *task);

/* Sets `out_bytes` when `in` and `out` are known. */
void tile_place_out(struct tile *tile, const struct task *task);

size_t tile_out_chunk_bytes(const struct tile *tile, size_t index);

/* Resets the results. tile_prepare calls it. */
void tile_results_init(struct tile *tile);

/* Gives back the memory that a merged tile no longer needs: all but its output. */
void tile_trim(struct tile *tile, const struct task *task, struct blocks *blocks);
void tile_release_blocks(struct tile *tile, struct blocks *blocks);

#endif
