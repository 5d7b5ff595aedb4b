/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/rotated.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/group.h"
#include "kernels/kernels.h"

static const double bounds[] = {[CLOSE_F32] = 0x1p-16, [CLOSE_16] = 0x1p-7};

/* What is needed for a group. */
struct comparing {
    const struct explained *what;
    const struct kernels *kernels;
    uint8_t *codes; /* expected, 2 bits each */
    float *values;  /* t*s of the rows */
};

/* A weight becomes its neighbour's code where it is as close to the threshold. */
static enum closeness code_closeness(float weight, int found, float scale)
{
    const double from = fabs(fabs((double)weight) / (double)scale - 0.5);

    if (!(scale > 0) || found * group_sign(weight) < 0)
        return NOT_CLOSE;
    return from <= bounds[CLOSE_F32]  ? CLOSE_F32
           : from <= bounds[CLOSE_16] ? CLOSE_16
                                      : NOT_CLOSE;
}

/* Rounding keeps the order, so that a scale is within a bound if it lies between the rounded
 * ends. */
static enum closeness scale_closeness(enum trit_dtype held, float expected, float found)
{
    for (size_t i = 0; i < NOT_CLOSE; i++) {
        const double scale = (double)expected;

        if (found >= f32_rounded_to(held, (float)(scale * (1 - bounds[i]))) &&
            found <= f32_rounded_to(held, (float)(scale * (1 + bounds[i]))))
            return (enum closeness)i;
    }
    return NOT_CLOSE;
}

static void compare_group(struct comparing *c, struct rotated_difference *difference,
                          const float *latents, const float *values, uint64_t length,
                          uint64_t divisor)
{
    const enum trit_dtype held = matrix_held_type(&c->what->claim);
    const float scale =
        group_project(c->kernels, TRIT_F32, latents, length, divisor, c->codes);
    const float found = group_claimed_scale(values, length);

    for (uint64_t i = 0; i < length; i++) {
        const int trit = group_sign(values[i]);

        if (trit != group_trit(c->codes, i))
            difference->codes[code_closeness(latents[i], trit, scale)]++;
    }
    /* A group of zeros shows no scale. */
    if (found != 0 && found != f32_rounded_to(held, scale))
        difference->scales[scale_closeness(held, scale, found)]++;
}

static void compare_rows(struct comparing *c, struct rotated_difference *difference)
{
    const struct encoded_matrix *claim = &c->what->claim;
    const uint64_t size = claim->terms.group_size, columns = claim->columns;
    const bool exact = claim->terms.partial_group == TRIT_PARTIAL_EXACT;
    const float *latents = c->what->latents;

    for (uint64_t row = 0; row < claim->rows; row++)
        for (uint64_t at = 0; at < columns; at += size) {
            const uint64_t left = columns - at, length = left < size ? left : size;
            const uint64_t first = row * columns + at;

            compare_group(c, difference, latents + first, c->values + first, length,
                          exact ? length : size);
        }
}

bool rotated_feed(struct rotated_difference *difference, const struct kernels *kernels,
                  const struct explained *what)
{
    const struct encoded_matrix *claim = &what->claim;
    struct comparing c = {.what = what, .kernels = kernels};
    struct kernels_env env;
    bool done = false;

    c.values = malloc(claim->rows * claim->columns * sizeof(*c.values) + 1);
    c.codes = calloc(claim->columns / 4 + 1, 1);
    if (c.values && c.codes && claim->terms.group_size) {
        kernels_enter(&env);
        done = matrix_decode(c.kernels, claim, 0, claim->rows, c.values);
        if (done)
            compare_rows(&c, difference);
        kernels_leave(&env);
    }
    free(c.values);
    free(c.codes);
    return done;
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void judge(struct file_finding *one, const uint64_t counts[CLOSENESSES])
{
    const uint64_t close = counts[CLOSE_F32], by_16 = counts[CLOSE_16];
    char text[TRIT_FINDING_HINT_BYTES_MAX + 1];

    /* The sign of a scale, and scales that are not finite, do not show in t*s. */
    if (counts[NOT_CLOSE] || close + by_16 < one->finding.count)
        return;
    one->hint = NULL;
    if (by_16) {
        one->finding.severity = TRIT_SEVERITY_UNDECIDED;
        snprintf(text, sizeof(text),
                 "%" PRIu64
                 " of them are within 2^-7 of where the rotated latents round; "
                 "the maker may have rounded rotated weights to 16 bits",
                 by_16);
    } else {
        one->finding.severity = TRIT_SEVERITY_NOTE;
        snprintf(text, sizeof(text),
                 "all %" PRIu64 " are within 2^-16 of where the rotated latents round",
                 close);
    }
    finding_set_hint(&one->finding, text);
}

void findings_judge_difference(struct file_findings *findings, size_t first,
                               const struct rotated_difference *difference)
{
    for (size_t i = first; difference->compared && i < findings->count; i++) {
        struct file_finding *one = &findings->list[i];

        if (one->finding.kind == TRIT_FINDING_CODES_DIFFER)
            judge(one, difference->codes);
        else if (one->finding.kind == TRIT_FINDING_SCALES_DIFFER)
            judge(one, difference->scales);
    }
}

void findings_judge_unknown(struct file_findings *findings, size_t first, const char *why)
{
    char text[TRIT_FINDING_HINT_BYTES_MAX + 1];

    snprintf(
        text, sizeof(text),
        "the tensor may be in the file's rotated basis; latents in another basis do not "
        "tell%s%s",
        why[0] ? ": " : "", why);
    for (size_t i = first; i < findings->count; i++) {
        struct file_finding *one = &findings->list[i];

        if (one->finding.kind != TRIT_FINDING_CODES_DIFFER &&
            one->finding.kind != TRIT_FINDING_SCALES_DIFFER &&
            one->finding.kind != TRIT_FINDING_OTHER_TENSOR_DIFFERS)
            continue;
        one->finding.severity = TRIT_SEVERITY_UNDECIDED;
        one->hint = NULL;
        finding_set_hint(&one->finding, text);
    }
}
