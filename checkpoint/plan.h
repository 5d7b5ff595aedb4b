/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each tensor of an input, decided before any of its data is read:
 * the tensors of the output, and every reason why it cannot be made. */
#ifndef CHECKPOINT_PLAN_H
#define CHECKPOINT_PLAN_H

#include "checkpoint/contents.h"

#define PLAN_NONE SIZE_MAX

enum plan_action {
    PLAN_TERNARIZE,
    PLAN_PACK, /* trits and scales are kept */
    PLAN_KEEP, /* byte for byte */
    PLAN_REFUSE,
};

struct plan_item {
    enum plan_action action;
    const char *reason;    /* of keep and refuse: a sentence without a full stop */
    uint64_t groups;       /* of a layer */
    size_t data;           /* index in the output's table; PLAN_NONE: refused */
    size_t scales, biases; /* likewise, or PLAN_NONE */
};

struct plan {
    struct contents contents;  /* of the input */
    struct layer_terms terms;  /* of the output's layers */
    struct tensor_table table; /* of the output, unsealed */
    struct plan_item *items;   /* one for each tensor of the input's table */
    size_t layers, refused;
    uint64_t bytes;                               /* of the input's tensors */
    uint64_t parameters_ternary, parameters_kept; /* refused ones count as kept */
    const char *refusal; /* of the whole file, or NULL: it carries a record */
};

/* Every metadata entry of the input stays, but for the record of an earlier
 * projection; this one's is added (a .npy output has no place for it). `again`: an
 * input with a record is taken. Refusals are no failure: see `refused` and `refusal`.
 * INVALID_ARGUMENT where the options contradict each other. */
int plan_create(struct plan *plan, const struct checkpoint_options *options, bool again,
                const struct tensor_table *input, struct failure *failure);
void plan_destroy(struct plan *plan); /* harmless on a zeroed one */

/* What packing makes of an input whose layers are ternary already. */
struct pack_target {
    enum trit_encoding encoding; /* DENSE: the layers are unpacked */
    uint32_t group_size;         /* 0: the input's, where the encoding holds it, else the
                                    encoding's default */
    enum trit_dtype dtype;       /* of unpacked layers; UNSPECIFIED: what the input's
                                    record says, else F32 */
};

/* The plan of a packing: `options` and `record` (borrowed for the call) say how the input
 * is encoded. Layers become PLAN_PACK; the tensors with their scales go away. */
int plan_create_pack(struct plan *plan, const struct checkpoint_options *options,
                     const struct pack_target *target, const struct tensor_table *input,
                     const struct record *record, struct failure *failure);

/* A layer whose data turned out to be ternary already becomes a refusal. */
void plan_refuse_ternary(struct plan *plan, size_t index);

const char *plan_action_name(enum plan_action action); /* "ternarize" */

#endif
