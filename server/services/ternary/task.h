/* SPDX-License-Identifier: Apache-2.0 */
/* The computation for a tensor, the same for each of its tiles. */
#ifndef TERNARY_TASK_H
#define TERNARY_TASK_H

#include <stdatomic.h>

#include "kernels/kernels.h"
#include "work/plan.h"

enum task_op {
    TASK_TERNARIZE,
    TASK_VERIFY,
    TASK_UNPACK,
    TASK_PACK, /* encode a tensor that is ternary already, without arithmetic */
    TASK_PASS, /* the output is the input */
};

/* Constant once the first tile runs. */
struct task {
    enum task_op op;
    const struct kernels *kernels;
    struct plan plan;
    bool in_pieces;      /* a tensor with one scale: not all of it is in memory at once */
    bool wants_sums;     /* mse, cosine */
    bool wants_codes;    /* digest, flips */
    bool wants_crc;      /* CRCs of the output, for the chunks of a stream */
    bool allows_lost;    /* do not refuse a packed output that loses scales */
    bool allows_rounded; /* packing: the output may round scales */
    float tolerance;
    bool has_reference;
    enum trit_dtype reference_dtype;
    const uint8_t *in_scales; /* separate scales of the input, or NULL */
    /* Packing: the whole input, which has one scale and is read by every tile; else NULL. */
    const uint8_t *held_in;
    /* Set: the call was cancelled, and results need not be complete. NULL: never set. */
    const _Atomic bool *cancelled;
};

/* A worker asks this after each range of a tile, each piece of a tensor with one scale, and
 * each stretch of an encoded output. Relaxed: the flag guards no other data. */
static inline bool task_cancelled(const struct task *task)
{
    return task->cancelled && atomic_load_explicit(task->cancelled, memory_order_relaxed);
}

/* The output overwrites the input's bytes. */
bool task_in_place(const struct task *task);

/* The codes of some groups end within a byte. */
bool task_pads_codes(const struct task *task);

/* Bytes per separate scale of the output: 4, 2, or 0 if there are none. */
size_t task_scale_out_bytes(const struct task *task);

/* The output has the tensor's scale after its codes. */
bool task_has_tail(const struct task *task);

/* Each byte of the output holds elements of several rows that are far apart. The output
 * is made from the 2-bit codes after all ranges are computed. */
bool task_interleaves(const struct task *task);

/* The same for the input. */
bool task_deinterleaves(const struct task *task);

/* Packing: the input has one scale for the tensor, but the plan has several groups. */
bool task_spreads_scale(const struct task *task);

/* The input is turned into INT8 codes first. */
bool task_reads_trits(const struct task *task);

/* Packing: the tile gets the codes of an input that was read in pieces. */
bool task_gathers(const struct task *task);

/* Packing: elements per scale of the input, if its blocks have scales and differ from the
 * plan's groups; else 0. */
size_t task_unit_elements(const struct task *task);

/* The input has separate scales in f16 or bf16. */
bool task_widens_scales(const struct task *task);

#endif
