/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs the tensors of the two sides of a comparison: which tensor of the claim
 * corresponds to which tensor of the latents. Every tensor of either side is in exactly
 * one pair. */
#ifndef CHECKPOINT_MATCH_H
#define CHECKPOINT_MATCH_H

#include "checkpoint/contents.h"
#include "checkpoint/rename.h"

enum match_kind {
    MATCH_PROJECTION,    /* the claim should be the projection of the latents */
    MATCH_BYTES,         /* the two should be equal byte for byte */
    MATCH_NO_STEP,       /* needs no step of its own: scales and tables are checked with
                            their weight; findings_add_contents reports the others */
    MATCH_MISSING_LAYER, /* the claim lacks the layer, or has it in another shape */
    MATCH_MISSING_TENSOR,
    MATCH_EXTRA_LAYER, /* the latents have no such tensor */
    MATCH_EXTRA_TENSOR,
    MATCH_RENAMED, /* both have it, under different names; see `hint` */
};

struct match_pair {
    enum match_kind kind;
    size_t claim, latents;    /* indices, or CONTENT_NONE */
    enum layer_layout layout; /* PROJECTION: how the latents store the matrices */
    /* Of experts that are one tensor in the claim and one each in the latents: the latents'
     * tensor of each matrix; `latents` is the first. NULL: `latents` has all of them. */
    const size_t *parts;
    uint64_t
        first; /* PROJECTION without parts: the latents' matrix of the claim's first. Of
                     * an expert that is one tensor in the claim, but not in the latents */
    struct head_order heads; /* in which the latents' rows are compared */
    const char *hint;        /* RENAMED: the option that makes the names equal */
};

struct match {
    struct match_pair *pairs; /* in the claim's order, then what is missing */
    size_t count;
    struct compared_names claim_names, latents_names;
    bool *answered; /* for each tensor of the latents: it is in a pair */
    struct arena strings;
};

/* The latents' tensor of matrix `number` of a projection. */
static inline size_t match_reference(const struct match_pair *pair, uint64_t number)
{
    return pair->parts ? pair->parts[number] : pair->latents;
}

/* Its number in that tensor. */
static inline uint64_t match_number(const struct match_pair *pair, uint64_t number)
{
    return pair->parts ? 0 : pair->first + number;
}

/* The order in which tensor `stored` of a file must be read so that its rows are in the
 * order of tensor `index` of the table. */
struct head_order head_order_of(const struct tensor_table *table, size_t index,
                                const struct tensor_table *file, size_t stored);

/* Pairs by name, after `options` has stripped prefixes and renamed. INVALID_ARGUMENT: two
 * tensors of one side get the same name. Call match_destroy also after a failure. */
int match_create(struct match *match, const struct checkpoint_options *options,
                 const struct contents *claim, const struct contents *latents,
                 struct failure *failure);
void match_destroy(struct match *match); /* harmless on a zeroed one */

#endif
