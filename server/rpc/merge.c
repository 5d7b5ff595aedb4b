#include "rpc/merge.h"

#include <gnutls/crypto.h>
#include <math.h>
#include <string.h>

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
    *merge = (struct merge){.scale_min = INFINITY};
    ternary_counts_init(&merge->counts);
    ternary_check_init(&merge->check);
    if (digest &&
        (hash_start(&merge->codes_hash) < 0 || hash_start(&merge->scales_hash) < 0)) {
        merge_fini(merge);
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for a digest");
    }
    return 0;
}

void merge_fini(struct merge *merge)
{
    hash_drop(&merge->codes_hash);
    hash_drop(&merge->scales_hash);
}

/* The scale as the output holds it: what a reader of the output would find. */
static float scale_as_held(const struct task *task, float scale)
{
    if (task->op != TASK_TERNARIZE)
        return scale;
    switch (encoding_layout(task->plan.spec.out)->scales) {
    case SCALES_F32:
    case SCALES_TENSOR:
        return scale;
    case SCALES_F16:
    case SCALES_IN_BLOCK:
        return f16_to_f32(f32_to_f16(scale));
    case SCALES_FOLDED:
        break;
    }
    if (task->plan.spec.dtype == TRIT_F16)
        return f16_to_f32(f32_to_f16(scale));
    if (task->plan.spec.dtype == TRIT_BF16)
        return bf16_to_f32(f32_to_bf16(scale));
    return scale;
}

static void hash_tile(struct merge *merge, const struct task *task,
                      const struct tile *tile)
{
    float held[256];

    gnutls_hash(merge->codes_hash, tile->codes, (size_t)tile->span.code_bytes);
    for (uint64_t group = 0; group < tile->span.groups;) {
        size_t count = 0;

        while (count < 256 && group < tile->span.groups)
            held[count++] = scale_as_held(task, tile->scales[group++]);
        gnutls_hash(merge->scales_hash, held, count * sizeof(held[0]));
    }
}

void merge_tile(struct merge *merge, const struct task *task, const struct tile *tile)
{
    ternary_counts_add(&merge->counts, &tile->counts, merge->elements, merge->groups);
    ternary_check_add(&merge->check, &tile->check, merge->elements);
    for (uint64_t i = 0; i < tile->span.groups; i++) {
        float scale = tile->scales[i];

        merge->scale_min = scale < merge->scale_min ? scale : merge->scale_min;
        merge->scale_max = scale > merge->scale_max ? scale : merge->scale_max;
        merge->scale_sum += (double)scale;
    }
    for (uint64_t i = 0; tile->sums && i < tile->span.groups; i++) {
        merge->sums.energy += tile->sums[i].energy;
        merge->sums.error += tile->sums[i].error;
        merge->sums.dot += tile->sums[i].dot;
        merge->sums.norm += tile->sums[i].norm;
    }
    if (merge->codes_hash && tile->codes)
        hash_tile(merge, task, tile);
    merge->groups += tile->span.groups;
    merge->elements += tile->span.elements;
}

static void store_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* SHA-256 of "trit-digest-1", rows, row length, group size (u64, little-endian
 * each), SHA-256 of the codes, SHA-256 of the scales (f32, little-endian).
 * Codes: 2 bits t+1 an element, least significant first, each group filled up
 * to a whole byte. Two inner hashes, so that no tile boundary shows. */
static void digest(struct merge *merge, const struct plan *plan,
                   uint8_t out[TRIT_DIGEST_BYTES])
{
    uint8_t text[13 + 24 + 64];

    memcpy(text, "trit-digest-1", 13);
    store_u64(text + 13, plan->rows);
    store_u64(text + 21, plan->row_len);
    store_u64(text + 29, plan->spec.group_size);
    gnutls_hash_deinit(merge->codes_hash, text + 37);
    gnutls_hash_deinit(merge->scales_hash, text + 69);
    merge->codes_hash = merge->scales_hash = NULL;
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, sizeof(text), out);
}

/* Offenders first, then those of -1, 0, +1 that occur. */
static void samples(const struct merge *merge, struct trit_report *report)
{
    const uint64_t counts[3] = {merge->counts.negatives, merge->counts.zeros,
                                merge->counts.positives};
    uint32_t n = 0;

    for (uint32_t i = 0; i < merge->check.sample_count && n < TRIT_SAMPLES_MAX - 3; i++)
        report->sample_values[n++] = merge->check.samples[i];
    for (int t = 0; t < 3; t++)
        if (counts[t])
            report->sample_values[n++] = (float)(t - 1);
    report->sample_count = n;
}

static void measure_error(const struct merge *merge, struct trit_report *report)
{
    const struct group_sums *sums = &merge->sums;
    double lengths = sqrt(sums->energy) * sqrt(sums->norm);

    if (!isfinite(sums->energy) || !isfinite(sums->error))
        return;
    report->has_mse = true;
    report->mse = sums->error / (double)merge->elements;
    report->has_cosine = lengths > 0 && isfinite(sums->dot / lengths);
    if (report->has_cosine)
        report->cosine = fmax(-1, fmin(1, sums->dot / lengths));
    report->has_sqnr_db = sums->error > 0 && sums->energy > 0;
    if (report->has_sqnr_db)
        report->sqnr_db = 10 * log10(sums->energy / sums->error);
}

void merge_report(struct merge *merge, const struct task *task,
                  struct trit_report *report)
{
    const struct plan *plan = &task->plan;
    const struct ternary_counts *counts = &merge->counts;
    double elements = (double)plan->elements;
    uint64_t valid = task->op == TASK_VERIFY ? merge->check.valid
                                             : plan->elements - counts->non_finite;

    report->dtype = plan->spec.dtype;
    report->rank = plan->spec.rank;
    memcpy(report->shape, plan->spec.shape, sizeof(report->shape));
    report->group_size = plan->spec.group_size;
    report->groups = plan->groups;
    report->elements = plan->elements;
    report->is_ternary = valid == plan->elements && counts->non_finite == 0;
    report->fraction_valid = (double)valid / elements;
    report->max_round_error = (double)merge->check.max_round_error;
    samples(merge, report);
    report->negatives = counts->negatives;
    report->zeros = counts->zeros;
    report->positives = counts->positives;
    report->zero_groups = counts->zero_groups;
    report->non_finite = counts->non_finite;
    report->has_scales = true;
    report->scale_min = merge->scale_min;
    report->scale_max = merge->scale_max;
    report->scale_mean = merge->scale_sum / (double)plan->groups;
    report->scales_lossy_fp16 = counts->scales_lossy_fp16;
    if (task->wants_sums && counts->non_finite == 0)
        measure_error(merge, report);
    report->near_threshold_fraction = (double)counts->near_threshold / elements;
    if (task->has_reference) {
        report->has_reference = true;
        report->reference_mismatches = merge->check.mismatches;
        report->first_mismatch =
            merge->check.mismatches ? merge->check.first_mismatch : 0;
    }
    if (merge->codes_hash)
        digest(merge, plan, report->digest);
    strncpy(report->kernel, kernels_name(task->kernels), sizeof(report->kernel) - 1);
}
