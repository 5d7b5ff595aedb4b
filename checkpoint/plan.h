/* SPDX-License-Identifier: Apache-2.0 */
/* Decides what a projection does with each tensor of an input before any data is read.
 * The plan lists the tensors of the output, and every reason why it cannot be made. */
#ifndef CHECKPOINT_PLAN_H
#define CHECKPOINT_PLAN_H

#include "checkpoint/contents.h"

#define PLAN_NONE SIZE_MAX

enum plan_action {
    PLAN_TERNARIZE,
    PLAN_PACK, /* re-encode trits and scales as they are */
    PLAN_KEEP, /* copy byte for byte */
    PLAN_REFUSE,
};

struct plan_item {
    enum plan_action action;
    const char *reason;    /* KEEP, REFUSE: a sentence without a full stop */
    const char *warning;   /* TERNARIZE: what may be wrong about it, or NULL */
    uint64_t groups;       /* of a layer */
    size_t data;           /* index in the output's table; PLAN_NONE: refused */
    size_t scales, biases; /* likewise, or PLAN_NONE */
    /* Of an expert that becomes one of the `parts` equal parts of a tensor; 0 parts: the
     * tensor is its own. */
    uint64_t part, parts;
    bool turned; /* KEEP: it is [in, out], and is written as [out, in] */
};

struct plan {
    struct contents contents;  /* of the input */
    struct layer_terms terms;  /* of the output's layers */
    struct tensor_table table; /* of the output, unsealed */
    struct plan_item *items;   /* one for each tensor of the input's table */
    size_t layers, refused;
    uint64_t bytes;                               /* of the input's tensors */
    uint64_t parameters_ternary, parameters_kept; /* refused ones count as kept */
    bool reciprocals;    /* of a packing: the input's scales are 1 / mean |w| (bitnet) */
    const char *refusal; /* why the whole file is refused (it has a record), or NULL */
    /* Of a GGUF output (plan_llama.h). */
    const char *architecture; /* llama.cpp's; NULL: the output is an archive of tensors */
    const char *remark;       /* about the output, or NULL */
    /* Path of the input's folder, whose last part names the model; borrowed. NULL: that of
     * the reader. */
    const char *folder;
    float *factors; /* data of the output's tensor factors_data; owned */
    size_t factors_data;
};

/* Keeps every metadata entry of the input except the record of an earlier projection, and
 * adds the record of this one (a .npy output cannot store it). `again` accepts an input
 * that has a record. A refusal is not a failure: see `refused` and `refusal`.
 * INVALID_ARGUMENT: the options contradict each other. */
int plan_create(struct plan *plan, const struct checkpoint_options *options, bool again,
                const struct tensor_table *input, struct failure *failure);
void plan_destroy(struct plan *plan); /* harmless on a zeroed one */

/* How to pack an input whose layers are ternary already. */
struct pack_target {
    enum trit_encoding encoding; /* DENSE: the layers are unpacked */
    uint32_t group_size;         /* 0: the input's, if the encoding supports it, else the
                                    encoding's default */
    enum trit_dtype dtype;       /* of unpacked layers; UNSPECIFIED: what the input's
                                    record says, else F32 */
};

/* The plan of a packing, before what the input lacks is refused: plan_create_pack
 * (plan_pack.h) does both. */
int plan_begin_pack(struct plan *plan, const struct checkpoint_options *options,
                    const struct pack_target *target, const struct tensor_table *input,
                    const struct record *record, struct failure *failure);

/* Refuses a tensor of a plan that is made. */
void plan_refuse(struct plan *plan, size_t index, const char *reason);

/* Refuses a layer whose data turned out to be ternary already, in groups of `group`
 * weights. */
void plan_refuse_ternary(struct plan *plan, size_t index, uint64_t group);

/* Bytes of the tensor in the output, or of its part of a tensor. */
uint64_t plan_item_bytes(const struct plan *plan, const struct plan_item *item,
                         size_t output);

/* Are matrices that the input has as [in, out] written in the same way? */
bool plan_keeps_layout(const struct plan *plan);

/* Is a kept tensor copied byte for byte? Otherwise its type or its order changes. */
bool plan_item_is_copied(const struct plan *plan, size_t index);

const char *plan_action_name(enum plan_action action); /* "ternarize" */

#endif
