/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/merge.h"

#include <gnutls/crypto.h>
#include <math.h>
#include <string.h>

#include "services/ternary/tile_exact.h"

static void store_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static int hash_start(void **hash)
{
    gnutls_hash_hd_t handle;

    if (gnutls_hash_init(&handle, GNUTLS_DIG_SHA256) < 0)
        return -1;
    *hash = handle;
    return 0;
}

static void hash_drop(void **hash)
{
    if (*hash)
        gnutls_hash_deinit(*hash, NULL);
    *hash = NULL;
}

int merge_init(struct merge *merge, bool digest, struct failure *failure)
{
    *merge = (struct merge){.scale_min = INFINITY,
                            .scale_max = -INFINITY,
                            .lost = {0, UINT64_MAX},
                            .rounded = {0, UINT64_MAX}};
    ternary_counts_init(&merge->counts);
    ternary_check_init(&merge->check);
    storage_check_init(&merge->storage);
    if (digest &&
        (hash_start(&merge->codes_hash) < 0 || hash_start(&merge->scales_hash) < 0 ||
         hash_start(&merge->inexact_hash) < 0)) {
        merge_fini(merge);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for a digest");
    }
    return 0;
}

void merge_fini(struct merge *merge)
{
    hash_drop(&merge->codes_hash);
    hash_drop(&merge->scales_hash);
    hash_drop(&merge->inexact_hash);
}

static void hash_scales(struct merge *merge, const struct task *task,
                        const struct tile *tile)
{
    float held[256];
    size_t count;

    for (uint64_t group = 0; group < tile->span.groups; group += count) {
        count = tile_scales_held(tile, task, group, held, 256);
        gnutls_hash(merge->scales_hash, held, count * sizeof(held[0]));
    }
}

void merge_inexact(struct merge *merge, uint64_t group,
                   const uint8_t hash[TILE_HASH_BYTES])
{
    uint8_t index[8];

    store_u64(index, group);
    gnutls_hash(merge->inexact_hash, index, sizeof(index));
    gnutls_hash(merge->inexact_hash, hash, TILE_HASH_BYTES);
    merge->inexact++;
}

static void hash_inexact(struct merge *merge, const struct tile *tile)
{
    uint64_t at = 0;

    for (uint64_t group = 0; tile->inexact && at < tile->inexact_count; group++)
        if (tile->inexact[group])
            merge_inexact(merge, merge->groups + group, tile->inexact_hashes[at++]);
}

static void hash_tile(struct merge *merge, const struct task *task,
                      const struct tile *tile)
{
    gnutls_hash(merge->codes_hash, tile->codes, (size_t)tile->span.code_bytes);
    hash_scales(merge, task, tile);
    hash_inexact(merge, tile);
}

static void hash_latents(struct merge *merge, const struct task *task,
                         const struct tile *tile)
{
    if (task->op == TASK_TERNARIZE)
        fingerprint_update(merge->latents, tile->in.bytes, (size_t)tile->span.in_bytes);
    else
        fingerprint_update(merge->latents, tile->reference.bytes, tile->reference_filled);
}

/* The rows of the values that the merge took from the tile: those from `before` on. */
static void merge_rows(uint64_t *rows, const float *values, uint32_t before,
                       uint32_t after, const float *tile_values,
                       const uint64_t *tile_rows)
{
    for (uint32_t i = before; i < after; i++) {
        uint32_t at = 0;

        while (memcmp(&values[i], &tile_values[at], sizeof(values[i])) != 0)
            at++;
        rows[i] = tile_rows[at];
    }
}

static void add_sums(struct group_sums *sums, const struct group_sums *group)
{
    sums->energy += group->energy;
    sums->error += group->error;
    sums->dot += group->dot;
    sums->norm += group->norm;
}

/* In one loop, because each sum waits for its own last addition. Sums are in variables of
 * their own: the compiler then keeps them in registers. `most` is an f64, so that it does not
 * put it into one register with `least`, which takes longer. */
void merge_groups(struct merge *merge, const float *scales,
                  const struct group_sums *groups, uint64_t count)
{
    float least = merge->scale_min;
    double most = merge->scale_max, sum = merge->scale_sum;
    struct group_sums sums = merge->sums;
    uint64_t finite = 0;

    for (uint64_t i = 0; i < count; i++) {
        const float scale = scales[i];

        if (groups)
            add_sums(&sums, &groups[i]);
        if (!isfinite(scale))
            continue;
        least = scale < least ? scale : least;
        most = (double)scale > most ? (double)scale : most;
        sum += (double)scale;
        finite++;
    }
    merge->scale_min = least;
    merge->scale_max = (float)most;
    merge->scale_sum = sum;
    merge->finite_scales += finite;
    merge->sums = sums;
}

static void merge_check(struct merge *merge, const struct task *task,
                        const struct tile *tile)
{
    struct ternary_check *check = &merge->check;
    const uint32_t samples = check->sample_count, near = check->near_count;

    ternary_check_add(check, &tile->check, merge->elements, merge->groups);
    if (!task->plan.by_rows)
        return;
    merge_rows(merge->sample_rows, check->samples, samples, check->sample_count,
               tile->check.samples, tile->sample_rows);
    merge_rows(merge->near_rows, check->near, near, check->near_count, tile->check.near,
               tile->near_rows);
}

void merge_tile(struct merge *merge, const struct task *task, const struct tile *tile)
{
    if (merge->lost.count == 0)
        merge->lost_scale = tile->lost_scale;
    occurrences_add(&merge->lost, &tile->lost, merge->groups);
    occurrences_add(&merge->rounded, &tile->rounded, merge->groups);
    ternary_counts_add(&merge->counts, &tile->counts, merge->elements, merge->groups);
    if (task->op != TASK_TERNARIZE) /* nothing was checked then */
        merge_check(merge, task, tile);
    storage_check_add(&merge->storage, &tile->storage, merge->groups);
    if (task->wants_codes || tile->sums) /* else there is no report */
        merge_groups(merge, tile->scales, tile->sums, tile->span.groups);
    if (merge->codes_hash && tile->codes)
        hash_tile(merge, task, tile);
    if (merge->latents)
        hash_latents(merge, task, tile);
    merge->groups += tile->span.groups;
    merge->elements += tile->span.elements;
}

/* See "The digest" in README.md. The digest hashes hashes, each over all tiles, so that
 * it does not depend on where tiles begin. */
void merge_digest(struct merge *merge, const struct task *task,
                  uint8_t out[TRIT_DIGEST_BYTES])
{
    const struct plan *plan = &task->plan;
    bool exact = merge->inexact == 0;
    bool is_output = task->op == TASK_TERNARIZE;
    enum trit_encoding encoding = is_output ? plan->spec.out : plan->spec.in;
    uint8_t text[13 + 3 * 8 + 2 * 32 + 2 * 8 + 32];
    size_t count = 13 + 3 * 8 + 2 * 32;

    memcpy(text, exact ? "trit-digest-1" : "trit-digest-2", 13);
    store_u64(text + 13, plan->rows);
    store_u64(text + 21, plan->row_len);
    store_u64(text + 29, plan->spec.group_size);
    gnutls_hash_deinit(merge->codes_hash, text + 37);
    gnutls_hash_deinit(merge->scales_hash, text + 69);
    gnutls_hash_deinit(merge->inexact_hash, text + 117);
    merge->codes_hash = merge->scales_hash = merge->inexact_hash = NULL;
    if (!exact) {
        store_u64(text + 101, (uint64_t)encoding);
        store_u64(text + 109,
                  encoding == TRIT_ENCODING_DENSE ? (uint64_t)plan->spec.dtype : 0);
        count = sizeof(text);
    }
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, count, out);
}
