/* SPDX-License-Identifier: Apache-2.0 */
/* Adds up the results of tiles. They are added in tile order, so that sums and digest
 * have the same bits however the bytes arrived. */
#ifndef TERNARY_MERGE_H
#define TERNARY_MERGE_H

#include "services/ternary/fingerprint.h"
#include "services/ternary/tile.h"

struct merge {
    struct ternary_counts counts;
    struct ternary_check check;
    float scale_min, scale_max;
    double scale_sum;
    uint64_t finite_scales;     /* groups; the three above are over these */
    struct occurrences lost;    /* groups whose scale the output loses */
    float lost_scale;           /* of the first of them */
    struct occurrences rounded; /* packing: groups whose scale the output rounds */
    struct storage_check storage;
    struct group_sums sums;
    /* Borrowed; merge_tile adds the latents of each tile to it. NULL: the loop hashes them as
     * they arrive, or no hash is wanted. */
    struct fingerprint *latents;
    /* SHA-256 in progress; NULL: no digest */
    void *codes_hash, *scales_hash, *inexact_hash;
    uint64_t inexact;          /* groups that are not exactly ternary */
    uint64_t groups, elements; /* merged so far */
    /* Of a tensor that is merged row by row (plan.by_rows): the rows in which the values of
     * check.samples and check.near occur first. */
    uint64_t sample_rows[TRIT_SAMPLES_MAX], near_rows[TRIT_SAMPLES_MAX];
};

/* Prepares a digest if asked. -1: no memory for it. */
int merge_init(struct merge *merge, bool digest, struct failure *failure);
void merge_fini(struct merge *merge); /* harmless on a zeroed struct */

/* Adds the next tile, in tile order. */
void merge_tile(struct merge *merge, const struct task *task, const struct tile *tile);

/* What merge_tile does with its groups, for the merge of shards (shard_report.h). `groups`
 * is NULL if there are no sums. */
void merge_groups(struct merge *merge, const float *scales,
                  const struct group_sums *groups, uint64_t count);
void merge_inexact(struct merge *merge, uint64_t group,
                   const uint8_t hash[TILE_HASH_BYTES]);

/* Computes the digest and frees its state; see "The digest" in README.md. */
void merge_digest(struct merge *merge, const struct task *task,
                  uint8_t out[TRIT_DIGEST_BYTES]);

#endif
