/* SPDX-License-Identifier: Apache-2.0 */
/* Tile results becoming a report: added up in tile order, so that sums and
 * digest have the same bits however the tensor was cut. */
#ifndef TERNARY_MERGE_H
#define TERNARY_MERGE_H

#include "services/ternary/tile.h"

struct merge {
    struct ternary_counts counts;
    struct ternary_check check;
    float scale_min, scale_max;
    double scale_sum;        /* these three over finite scales */
    uint64_t finite_scales;  /* groups */
    struct occurrences lost; /* groups whose scale the output's type loses */
    float lost_scale;        /* the first of them */
    struct group_sums sums;
    /* SHA-256 in progress; NULL = no digest */
    void *codes_hash, *scales_hash, *inexact_hash;
    uint64_t inexact;          /* groups that are not exactly ternary */
    uint64_t groups, elements; /* merged so far */
};

/* With `digest`, -1 on lack of memory. */
int merge_init(struct merge *merge, bool digest, struct failure *failure);
void merge_fini(struct merge *merge); /* harmless on a zeroed struct */

/* The next tile, in order. */
void merge_tile(struct merge *merge, const struct task *task, const struct tile *tile);

/* Ends the digest; see "The digest" in README.md. */
void merge_digest(struct merge *merge, const struct task *task,
                  uint8_t out[TRIT_DIGEST_BYTES]);

#endif
