/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/explain_tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The mean magnitude of all latents. It is summed in another order than in the
 * projection, so its last bit may differ. */
static float mean_magnitude(const struct explained *what)
{
    const uint64_t count = what->claim.rows * what->claim.columns;
    double sum = 0;

    if (what->mean)
        return *what->mean;

    for (uint64_t i = 0; i < count; i++)
        sum += fabs((double)float_at(what->latents_dtype, what->latents, i));
    return (float)(sum / (double)count);
}

static bool is_near(float found, float expected)
{
    return fabsf(found - expected) <= 0x1p-22F * expected;
}

/* Do the codes of a row follow from this scale? Sets *scale to its magnitude if that is
 * 0, else returns false if the magnitude differs. */
static bool row_fits(const struct explained *what, uint64_t row, const float *values,
                     float mean, float *scale)
{
    for (uint64_t i = 0; i < what->claim.columns; i++) {
        const float w =
            float_at(what->latents_dtype, what->latents, row * what->claim.columns + i);
        const float magnitude = fabsf(values[i]);

        /* At the threshold the last bit of the mean decides, so both codes are accepted.
         * */
        if ((magnitude != 0) != (2 * fabsf(w) > mean) && !is_near(2 * fabsf(w), mean))
            return false;
        if (magnitude != 0 && (signbit(values[i]) != 0) != (signbit(w) != 0))
            return false;
        if (magnitude != 0 && *scale == 0)
            *scale = magnitude;
        if (magnitude != 0 && magnitude != *scale)
            return false;
    }
    return true;
}

bool explain_granularity(struct file_findings *findings, const char *layer,
                         const struct explained *what)
{
    const struct kernels *kernels = kernels_select(NULL);
    const float mean = mean_magnitude(what);
    float *values = calloc(what->claim.columns + 1, sizeof(*values));
    float scale = 0;
    bool fits = values != NULL;

    for (uint64_t row = 0; row < what->claim.rows && fits; row++)
        fits = matrix_decode(kernels, &what->claim, row, 1, values) &&
               row_fits(what, row, values, mean, &scale);
    free(values);
    fits = fits && scale != 0 &&
           (is_near(scale, mean) ||
            scale == f32_rounded_to(matrix_held_type(&what->claim), mean));
    if (!fits)
        return false;
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_GRANULARITY_DIFFERS, layer, NULL);
    if (added) {
        snprintf(added->expected, sizeof(added->expected), "%u",
                 what->claim.terms.group_size);
        snprintf(added->got, sizeof(added->got), "the tensor");
        snprintf(added->hint, sizeof(added->hint),
                 "the whole tensor has one scale, the mean magnitude of its latents");
    }
    return true;
}

/* The newest finding of this kind about the layer, or NULL. */
static struct trit_finding *newest(struct file_findings *findings, const char *layer,
                                   enum trit_finding_kind kind)
{
    struct file_finding *found = findings_find(findings, kind, layer);

    return found ? &found->finding : NULL;
}

static void add_convention(struct file_findings *findings, const char *layer,
                           enum trit_finding_kind kind, float expected, float found,
                           const char *hint)
{
    struct trit_finding *added = findings_add(findings, kind, layer, NULL);

    if (!added)
        return;
    snprintf(added->expected, sizeof(added->expected), "%.9g", (double)expected);
    snprintf(added->got, sizeof(added->got), "%.9g", (double)found);
    snprintf(added->hint, sizeof(added->hint), "%s", hint);
}

/* config.json declares 1 / mean; the daemon compared with the mean. */
static void check_reciprocal(struct file_findings *findings, const char *layer,
                             const struct explained *what, float mean, float found)
{
    struct trit_finding *differ = newest(findings, layer, TRIT_FINDING_SCALES_DIFFER);
    const float expected = f32_rounded_to(what->claim.scales_dtype, 1 / mean);
    const bool equal = is_near(found, 1 / mean) || found == expected;

    if (equal && differ) {
        differ->severity = TRIT_SEVERITY_NOTE;
        snprintf(differ->hint, sizeof(differ->hint),
                 "it is 1 / mean magnitude, as config.json's linear_class bitlinear "
                 "says");
    } else if (!equal && !differ) {
        add_convention(
            findings, layer, TRIT_FINDING_SCALES_DIFFER, expected, found,
            "config.json's linear_class bitlinear needs 1 / mean magnitude; this is "
            "the mean, as for autobitlinear");
    }
}

void explain_tensor_scale(struct file_findings *findings, const char *layer,
                          const struct explained *what)
{
    const struct trit_finding *differ =
        newest(findings, layer, TRIT_FINDING_SCALES_DIFFER);
    float mean, found;

    if (!what->claim.scales)
        return;
    mean = mean_magnitude(what);
    found = float_at(what->claim.scales_dtype, what->claim.scales, 0);
    if (what->reciprocal)
        check_reciprocal(findings, layer, what, mean, found);
    else if (differ && fabsf(found * mean - 1) < 0.01F && fabsf(mean - 1) > 0.02F)
        add_convention(findings, layer, TRIT_FINDING_SCALE_RECIPROCAL, mean, found,
                       "the scale is 1 / mean magnitude, as in older bitnet files, where "
                       "config.json says linear_class bitlinear");
}
