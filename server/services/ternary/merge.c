#include "services/ternary/merge.h"

#include <gnutls/crypto.h>
#include <math.h>
#include <string.h>

#include "services/ternary/report_findings.h"
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
    *merge = (struct merge){
        .scale_min = INFINITY, .scale_max = -INFINITY, .lost = {0, UINT64_MAX}};
    ternary_counts_init(&merge->counts);
    ternary_check_init(&merge->check);
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

/* Scales as the output holds them: what a reader of the output would find. */
static void hash_scales(struct merge *merge, const struct task *task,
                        const struct tile *tile)
{
    float held[256];

    for (uint64_t group = 0; group < tile->span.groups;) {
        size_t count = 0;

        while (count < 256 && group < tile->span.groups) {
            float scale = tile->scales[group++];

            held[count++] =
                task->op == TASK_TERNARIZE ? scale_as_held(task, scale) : scale;
        }
        gnutls_hash(merge->scales_hash, held, count * sizeof(held[0]));
    }
}

static void hash_inexact(struct merge *merge, const struct tile *tile)
{
    uint64_t at = 0;

    for (uint64_t group = 0; tile->inexact && at < tile->inexact_count; group++) {
        uint8_t index[8];

        if (!tile->inexact[group])
            continue;
        store_u64(index, merge->groups + group);
        gnutls_hash(merge->inexact_hash, index, sizeof(index));
        gnutls_hash(merge->inexact_hash, tile->inexact_hashes[at++], TILE_HASH_BYTES);
    }
    merge->inexact += tile->inexact_count;
}

static void hash_tile(struct merge *merge, const struct task *task,
                      const struct tile *tile)
{
    gnutls_hash(merge->codes_hash, tile->codes, (size_t)tile->span.code_bytes);
    hash_scales(merge, task, tile);
    hash_inexact(merge, tile);
}

static void merge_scales(struct merge *merge, const struct tile *tile)
{
    for (uint64_t i = 0; i < tile->span.groups; i++) {
        float scale = tile->scales[i];

        if (!isfinite(scale))
            continue;
        merge->scale_min = scale < merge->scale_min ? scale : merge->scale_min;
        merge->scale_max = scale > merge->scale_max ? scale : merge->scale_max;
        merge->scale_sum += (double)scale;
        merge->finite_scales++;
    }
}

void merge_tile(struct merge *merge, const struct task *task, const struct tile *tile)
{
    if (merge->lost.count == 0)
        merge->lost_scale = tile->lost_scale;
    occurrences_add(&merge->lost, &tile->lost, merge->groups);
    ternary_counts_add(&merge->counts, &tile->counts, merge->elements, merge->groups);
    ternary_check_add(&merge->check, &tile->check, merge->elements, merge->groups);
    merge_scales(merge, tile);
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

/* See "The digest" in README.md. Inner hashes, so that no tile boundary shows. */
static void digest(struct merge *merge, const struct task *task,
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

/* The values that occur: invalid ones first, then -1, 0, +1, then those that only the
 * tolerance makes valid. */
static void samples(const struct merge *merge, const struct task *task,
                    struct trit_report *report)
{
    const struct ternary_counts *counts = &merge->counts;
    const struct ternary_check *check = &merge->check;
    uint32_t seen = check->trits_seen, n = 0;

    if (task->op == TASK_TERNARIZE)
        seen = (counts->negatives ? 1U : 0) | (counts->zeros ? 2U : 0) |
               (counts->positives ? 4U : 0);
    for (uint32_t i = 0; i < check->sample_count && n < TRIT_SAMPLES_MAX - 3; i++)
        report->sample_values[n++] = check->samples[i];
    for (uint32_t t = 0; t < 3; t++)
        if (seen >> t & 1)
            report->sample_values[n++] = (float)t - 1;
    for (uint32_t i = 0; i < check->near_count && n < TRIT_SAMPLES_MAX; i++)
        report->sample_values[n++] = check->near[i];
    report->sample_count = n;
}

/* sqrt(a * b), of equal numbers exactly that number. */
static double geometric_mean(double a, double b)
{
    return isnormal(a * b) ? sqrt(a * b) : sqrt(a) * sqrt(b);
}

static void measure_error(const struct merge *merge, struct trit_report *report)
{
    const struct group_sums *sums = &merge->sums;
    double lengths = geometric_mean(sums->energy, sums->norm);

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
    const struct ternary_check *check = &merge->check;
    double elements = (double)plan->elements;
    uint64_t valid = task->op == TASK_VERIFY ? merge->check.valid
                                             : plan->elements - counts->non_finite;

    report->dtype = plan->spec.dtype;
    report->rank = plan->spec.rank;
    memcpy(report->shape, plan->spec.shape, sizeof(report->shape));
    report->group_size = plan->spec.group_size;
    report->groups = plan->groups;
    report->elements = plan->elements;
    report->is_ternary = valid == plan->elements && counts->non_finite == 0 &&
                         merge->lost.count == 0 && check->scales_negative.count == 0 &&
                         check->scales_zero.count == 0;
    report->fraction_valid = (double)valid / elements;
    report->max_round_error = (double)merge->check.max_round_error;
    samples(merge, task, report);
    report->negatives = counts->negatives;
    report->zeros = counts->zeros;
    report->positives = counts->positives;
    report->zero_groups = counts->zero_groups;
    report->non_finite = counts->non_finite;
    report->has_scales = merge->finite_scales > 0;
    if (report->has_scales) {
        report->scale_min = merge->scale_min;
        report->scale_max = merge->scale_max;
        report->scale_mean = merge->scale_sum / (double)merge->finite_scales;
    }
    report->scales_lossy_fp16 = counts->scales_lossy_fp16;
    if (task->wants_sums && counts->non_finite == 0 &&
        check->reference_infinite.count == 0)
        measure_error(merge, report);
    report->near_threshold_fraction = (double)counts->near_threshold / elements;
    if (task->has_reference) {
        report->has_reference = true;
        report->reference_mismatches = merge->check.mismatches;
        report->first_mismatch =
            merge->check.mismatches ? merge->check.first_mismatch : 0;
    }
    if (merge->codes_hash)
        digest(merge, task, report->digest);
    report_findings(report, merge, task);
    strncpy(report->kernel, kernels_name(task->kernels), sizeof(report->kernel) - 1);
}
