/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes the matrix to t*s in f32, some rows at a time, and compares it with the
 * projection of its latents by each candidate. A candidate that differs anywhere is
 * dropped. Those left at the end explain the matrix. */
#include "checkpoint/explain.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/explain_tensor.h"
#include "checkpoint/group.h"

enum { PIECE_ELEMENTS = 1 << 18, CANDIDATES_MAX = 12 };

/* One way in which the latents could have been projected. */
struct candidate {
    uint64_t group_size;
    bool exact; /* a short group divides by its own length */
    bool alive;
};

/* How the claim's scales relate to the expected ones; true as long as no group
 * contradicts. */
struct relation {
    bool f16, bf16, reciprocal;
    uint64_t groups; /* that are not zero on both sides */
};

struct explaining {
    const struct explained *what;
    const struct kernels *kernels;
    struct candidate candidates[CANDIDATES_MAX];
    size_t candidate_count;
    float *values;        /* t*s of the piece */
    uint8_t *codes;       /* expected, 2 bits each */
    uint64_t moves[3][3]; /* codes from expected to found, by t + 1 */
    uint64_t scales_differ;
    double largest;                /* relative difference of scales */
    double zero_max, non_zero_min; /* |w| by the group's mean magnitude */
    struct relation relation;
};

static void add_candidate(struct explaining *e, uint64_t group_size, bool exact)
{
    const struct layer_terms *terms = &e->what->claim.terms;
    const bool same = group_size == terms->group_size &&
                      exact == (terms->partial_group == TRIT_PARTIAL_EXACT);

    if (!same && group_size > 0 && group_size <= e->what->claim.columns)
        e->candidates[e->candidate_count++] = (struct candidate){group_size, exact, true};
}

static void add_candidates(struct explaining *e)
{
    static const uint64_t sizes[] = {32, 64, 128, 256};
    const uint64_t columns = e->what->claim.columns,
                   own = e->what->claim.terms.group_size;
    const bool exact = e->what->claim.terms.partial_group == TRIT_PARTIAL_EXACT;
    bool has_row = own == columns;

    if (own && columns % own)
        add_candidate(e, own, !exact);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        has_row |= sizes[i] == columns;
        if (sizes[i] == own)
            continue;
        add_candidate(e, sizes[i], exact);
        if (columns % sizes[i])
            add_candidate(e, sizes[i], !exact);
    }
    if (!has_row)
        add_candidate(e, columns, true);
}

/* ---- a piece --------------------------------------------------------------------- */

struct piece {
    const char *latents;
    const float *values;
    uint64_t rows;
};

/* The projection of one group of latents. */
static float project(struct explaining *e, const char *latents, uint64_t length,
                     uint64_t divisor)
{
    return group_project(e->kernels, e->what->latents_dtype, latents, length, divisor,
                         e->codes);
}

/* Does the group equal a projection with this scale and these codes? */
static bool group_fits(const struct explaining *e, const float *values, uint64_t length,
                       float scale)
{
    const float held = f32_rounded_to(matrix_held_type(&e->what->claim), scale);

    for (uint64_t i = 0; i < length; i++) {
        const int trit = group_trit(e->codes, i);

        if (group_sign(values[i]) != trit || (trit != 0 && fabsf(values[i]) != held))
            return false;
    }
    return true;
}

static bool piece_fits(struct explaining *e, const struct candidate *candidate,
                       const struct piece *piece)
{
    const uint64_t columns = e->what->claim.columns, size = candidate->group_size;
    const size_t width = dtype_bytes(e->what->latents_dtype);

    for (uint64_t row = 0; row < piece->rows; row++)
        for (uint64_t at = 0; at < columns; at += size) {
            const uint64_t left = columns - at, length = left < size ? left : size;
            const uint64_t first = row * columns + at;
            const float scale = project(e, piece->latents + first * width, length,
                                        candidate->exact ? length : size);

            if (!group_fits(e, piece->values + first, length, scale))
                return false;
        }
    return true;
}

static void compare_scales(struct explaining *e, float expected, float found)
{
    const float held = f32_rounded_to(matrix_held_type(&e->what->claim), expected);
    struct relation *relation = &e->relation;

    if (expected == 0 || found == 0)
        return;
    relation->groups++;
    if (found != held) {
        e->scales_differ++;
        e->largest = fmax(e->largest, fabs((double)found / (double)held - 1));
    }
    relation->f16 &= found == f32_rounded_to(TRIT_F16, expected);
    relation->bf16 &= found == f32_rounded_to(TRIT_BF16, expected);
    relation->reciprocal &= fabs((double)found * (double)expected - 1) < 0.01 &&
                            fabs((double)expected - 1) > 0.02;
}

/* Counts of one group by the claim's own terms. */
static void compare_group(struct explaining *e, const char *latents, const float *values,
                          uint64_t length, uint64_t divisor)
{
    const float expected = project(e, latents, length, divisor);

    for (uint64_t i = 0; i < length; i++) {
        const float w = float_at(e->what->latents_dtype, latents, i);
        const double ratio = expected > 0 ? fabs((double)w) / (double)expected : 0;

        e->moves[group_trit(e->codes, i) + 1][group_sign(values[i]) + 1]++;
        if (expected == 0)
            continue;
        if (values[i] == 0)
            e->zero_max = fmax(e->zero_max, ratio);
        else
            e->non_zero_min = fmin(e->non_zero_min, ratio);
    }
    compare_scales(e, expected, group_claimed_scale(values, length));
}

static void compare_piece(struct explaining *e, const struct piece *piece)
{
    const uint64_t columns = e->what->claim.columns,
                   size = e->what->claim.terms.group_size;
    const bool exact = e->what->claim.terms.partial_group == TRIT_PARTIAL_EXACT;
    const size_t width = dtype_bytes(e->what->latents_dtype);

    for (uint64_t row = 0; row < piece->rows; row++)
        for (uint64_t at = 0; at < columns; at += size) {
            const uint64_t left = columns - at, length = left < size ? left : size;
            const uint64_t first = row * columns + at;

            compare_group(e, piece->latents + first * width, piece->values + first,
                          length, exact ? length : size);
        }
}

static bool walk(struct explaining *e)
{
    const struct explained *what = e->what;
    const size_t width = dtype_bytes(what->latents_dtype);
    uint64_t rows = PIECE_ELEMENTS / what->claim.columns;

    rows = rows ? rows : 1;
    for (uint64_t first = 0; first < what->claim.rows; first += rows) {
        const uint64_t left = what->claim.rows - first;
        const struct piece piece = {(const char *)what->latents +
                                        first * what->claim.columns * width,
                                    e->values, left < rows ? left : rows};

        if (!matrix_decode(e->kernels, &what->claim, first, piece.rows, e->values))
            return false;
        compare_piece(e, &piece);
        for (size_t i = 0; i < e->candidate_count; i++)
            if (e->candidates[i].alive)
                e->candidates[i].alive = piece_fits(e, &e->candidates[i], &piece);
    }
    return true;
}

/* ---- what came of it --------------------------------------------------------------- */

/* Adds to the hint which rows were compared. */
static void tell_part(char *text, size_t bytes, const struct explained *what)
{
    const size_t length = strlen(text);

    if (explained_in_part(what))
        snprintf(text + length, bytes - length,
                 " (in rows %" PRIu64 " to %" PRIu64 " of %" PRIu64 ")", what->first_row,
                 what->first_row + what->claim.rows - 1, what->all_rows);
}

static void tell_moves(struct file_findings *findings, const char *layer,
                       const struct explaining *e)
{
    static const char *const names[] = {"-1", "0", "+1"};
    char text[256] = "";
    size_t length = 0;

    for (size_t from = 0; from < 3; from++)
        for (size_t to = 0; to < 3; to++)
            if (from != to && e->moves[from][to] && length < sizeof(text))
                length += (size_t)snprintf(text + length, sizeof(text) - length,
                                           "%s%s -> %s: %" PRIu64, length ? ", " : "",
                                           names[from], names[to], e->moves[from][to]);
    if (length) {
        tell_part(text, sizeof(text), e->what);
        findings_hint(findings, TRIT_FINDING_CODES_DIFFER, layer, text);
    }
    if (e->scales_differ) {
        snprintf(text, sizeof(text),
                 "%" PRIu64 " of %" PRIu64 " scales differ, by up to %.3g %%",
                 e->scales_differ, e->relation.groups, 100 * e->largest);
        tell_part(text, sizeof(text), e->what);
        findings_hint(findings, TRIT_FINDING_SCALES_DIFFER, layer, text);
    }
}

static bool tell_groups(struct file_findings *findings, const char *layer,
                        const struct explaining *e)
{
    const struct layer_terms *terms = &e->what->claim.terms;

    for (size_t i = 0; i < e->candidate_count; i++) {
        const struct candidate *found = &e->candidates[i];
        const bool size = found->group_size != terms->group_size;
        struct trit_finding *added;

        if (!found->alive)
            continue;
        added = findings_add(findings,
                             size ? TRIT_FINDING_GRANULARITY_DIFFERS
                                  : TRIT_FINDING_PARTIAL_GROUP_DIFFERS,
                             layer, NULL);
        if (!added)
            return true;
        if (size) {
            snprintf(added->expected, sizeof(added->expected), "%u", terms->group_size);
            snprintf(added->got, sizeof(added->got), "%" PRIu64 "%s", found->group_size,
                     found->group_size == e->what->claim.columns ? " (a row)" : "");
            snprintf(added->hint, sizeof(added->hint),
                     "it is the projection in groups of %" PRIu64 "; set --group-size",
                     found->group_size);
        } else {
            snprintf(added->expected, sizeof(added->expected), "%s",
                     found->exact ? "padded" : "exact");
            snprintf(added->got, sizeof(added->got), "%s",
                     found->exact ? "exact" : "padded");
            snprintf(added->hint, sizeof(added->hint),
                     "a row's short last group has another divisor; set --partial");
        }
        return true;
    }
    return false;
}

/* All zeros have smaller latents than all other weights, but the threshold is not half of
 * the mean. */
static void tell_threshold(struct file_findings *findings, const char *layer,
                           const struct explaining *e)
{
    struct trit_finding *added;

    if (e->zero_max > e->non_zero_min || isinf(e->non_zero_min) ||
        (e->zero_max <= 0.5 && e->non_zero_min >= 0.5))
        return;
    added = findings_add(findings, TRIT_FINDING_THRESHOLD_DIFFERS, layer, NULL);
    if (!added)
        return;
    snprintf(added->expected, sizeof(added->expected), "0.5");
    snprintf(added->got, sizeof(added->got), "%.4f to %.4f", e->zero_max,
             e->non_zero_min);
    snprintf(added->hint, sizeof(added->hint),
             "weights are 0 below this multiple of their group's mean magnitude");
}

static void tell_scales(struct file_findings *findings, const char *layer,
                        const struct explaining *e)
{
    const struct relation *relation = &e->relation;
    struct trit_finding *added;

    if (relation->groups == 0 || e->scales_differ == 0)
        return;
    if (relation->reciprocal) {
        added = findings_add(findings, TRIT_FINDING_SCALE_RECIPROCAL, layer, NULL);
        if (added)
            snprintf(added->hint, sizeof(added->hint),
                     "every scale is 1 / mean magnitude");
    } else if (relation->f16 || relation->bf16) {
        added = findings_add(findings, TRIT_FINDING_SCALE_ROUNDED, layer, NULL);
        if (!added)
            return;
        snprintf(added->got, sizeof(added->got), "%s", relation->f16 ? "f16" : "bf16");
        snprintf(added->hint, sizeof(added->hint),
                 "every scale is the expected one rounded to this type");
    }
}

static bool allocate(struct explaining *e)
{
    const uint64_t columns = e->what->claim.columns;
    const uint64_t count = columns > PIECE_ELEMENTS ? columns : PIECE_ELEMENTS;

    e->values = calloc(count, sizeof(*e->values));
    e->codes = calloc(columns / 4 + 1, 1);
    return e->values && e->codes;
}

void findings_explain(struct file_findings *findings, const char *layer,
                      const struct explained *what)
{
    const struct encoding_layout *layout = encoding_layout(what->claim.terms.encoding);
    struct explaining e = {.what = what,
                           .kernels = kernels_select(NULL),
                           .non_zero_min = INFINITY,
                           .relation = {.f16 = true, .bf16 = true, .reciprocal = true}};
    struct kernels_env env;

    if (!layout || what->claim.columns == 0)
        return;
    if (layout->scales == SCALES_TENSOR) {
        explain_tensor_scale(findings, layer, what);
        return;
    }
    if (what->claim.terms.group_size == 0)
        return;
    add_candidates(&e);
    kernels_enter(&env);
    const size_t first = findings->count;
    const bool walked = allocate(&e) && walk(&e);
    kernels_leave(&env);
    if (walked) {
        tell_moves(findings, layer, &e);
        if (!tell_groups(findings, layer, &e) &&
            (explained_in_part(what) || !explain_granularity(findings, layer, what)))
            tell_threshold(findings, layer, &e);
        tell_scales(findings, layer, &e);
        for (size_t i = first; i < findings->count; i++)
            tell_part(findings->list[i].finding.hint,
                      sizeof(findings->list[i].finding.hint), what);
    }
    free(e.values);
    free(e.codes);
}

bool findings_have_mismatch(const struct file_findings *findings, size_t first)
{
    for (size_t i = first; i < findings->count; i++)
        if (findings->list[i].finding.kind == TRIT_FINDING_CODES_DIFFER ||
            findings->list[i].finding.kind == TRIT_FINDING_SCALES_DIFFER)
            return true;
    return false;
}
