/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides of a comparison: which tensor of the claim answers to which tensor of
 * the latents. Every tensor of either side is in exactly one pair. */
#ifndef CHECKPOINT_MATCH_H
#define CHECKPOINT_MATCH_H

#include "checkpoint/contents.h"
#include "checkpoint/rename.h"

enum match_kind {
    MATCH_PROJECTION,    /* the claim should be the projection of the latents */
    MATCH_BYTES,         /* the two should be equal byte for byte */
    MATCH_JUDGED,        /* scales and tables, which go with their weight; and what
                            findings_add_contents says cannot be judged */
    MATCH_MISSING_LAYER, /* the claim has no such layer, or another shape of it */
    MATCH_MISSING_TENSOR,
    MATCH_EXTRA_LAYER, /* the latents have no such tensor */
    MATCH_EXTRA_TENSOR,
    MATCH_RENAMED, /* both have it, under names that differ; see `hint` */
};

struct match_pair {
    enum match_kind kind;
    size_t claim, latents;    /* indices, or CONTENT_NONE */
    enum layer_layout layout; /* of PROJECTION: how the latents hold the matrices */
    const char *hint;         /* of RENAMED: the option that makes the names equal */
};

struct match {
    struct match_pair *pairs; /* in the claim's order, then what is missing */
    size_t count;
    struct compared_names claim_names, latents_names;
    struct arena strings;
};

/* By the names as `options` says to compare them. INVALID_ARGUMENT: two tensors of a side
 * would have one name. match_destroy is due in either case. */
int match_create(struct match *match, const struct checkpoint_options *options,
                 const struct contents *claim, const struct contents *latents,
                 struct failure *failure);
void match_destroy(struct match *match); /* harmless on a zeroed one */

#endif
