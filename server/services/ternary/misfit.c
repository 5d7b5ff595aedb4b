/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/misfit.h"

#include <inttypes.h>
#include <stdio.h>

#include "kernels/kernels.h"
#include "work/plan.h"

enum { REASON_BYTES = 256 };

static const char *scale_type(const struct plan *plan)
{
    enum scale_place place = encoding_layout(plan->spec.out)->scales;

    return place == SCALES_F32 || place == SCALES_TENSOR ? "f32" : "f16";
}

/* A group spans several blocks of the source, each with its scale. */
static void explain_blocks(const struct misfit *misfit, const struct plan *plan,
                           char reason[REASON_BYTES])
{
    const unsigned block = encoding_layout(plan->spec.in)->block_elements;
    const unsigned held = encoding_layout(plan->spec.out)->block_elements;
    const int length = snprintf(
        reason, REASON_BYTES, "has %s blocks of %u weights with the scales %.9g and %.9g",
        encoding_name(plan->spec.in), block, (double)misfit->a, (double)misfit->b);

    if (held > block)
        snprintf(reason + length, REASON_BYTES - (size_t)length,
                 "; a block of %s has one scale for %u weights",
                 encoding_name(plan->spec.out), held);
    else
        snprintf(reason + length, REASON_BYTES - (size_t)length, "; use group_size %u",
                 block);
}

static void explain(const struct misfit *misfit, const struct plan *plan,
                    char reason[REASON_BYTES])
{
    const char *out = encoding_name(plan->spec.out), *type = scale_type(plan);
    const double a = (double)misfit->a, b = (double)misfit->b;

    switch (misfit->kind) {
    case MISFIT_NONE:
        break;
    case MISFIT_NOT_FINITE:
        snprintf(reason, REASON_BYTES, "is not ternary: element %" PRIu64 " is %g",
                 misfit->at, a);
        break;
    case MISFIT_MAGNITUDES:
        snprintf(reason, REASON_BYTES,
                 "is not ternary: it has the magnitudes %.9g and %.9g, which element "
                 "%" PRIu64 " is the first to have; check options.group_size",
                 a, b, misfit->at);
        break;
    case MISFIT_CODE:
        snprintf(reason, REASON_BYTES,
                 "is not ternary: the code of element %" PRIu64 " is not -1, 0 or +1",
                 misfit->at);
        break;
    case MISFIT_SCALE:
        snprintf(reason, REASON_BYTES, "has the scale %.9g%s", a,
                 a == 0 ? ", but nonzero codes" : "; it must be finite and positive");
        break;
    case MISFIT_BLOCKS_DIFFER:
        explain_blocks(misfit, plan, reason);
        break;
    case MISFIT_SCALES_DIFFER:
        snprintf(reason, REASON_BYTES,
                 "needs one scale in %s, but it has groups with the scales %.9g and %.9g",
                 out, a, b);
        break;
    case MISFIT_ROUNDED:
        snprintf(reason, REASON_BYTES,
                 "has the scale %.9g, which the %s of %s does not hold exactly; set "
                 "options.allow_rounded_scales to round it",
                 a, type, out);
        break;
    case MISFIT_LOST:
        snprintf(reason, REASON_BYTES,
                 "has the scale %.9g, which the %s of %s rounds to 0 or infinity; use "
                 "int8",
                 a, type, out);
        break;
    }
}

int misfit_refuse(const struct misfit *misfit, const struct plan *plan, const char *field,
                  struct failure *failure)
{
    const uint64_t row_len = plan->spec.shape[plan->spec.rank - 1];
    const uint64_t row = misfit->first / row_len, last = (misfit->end - 1) / row_len;
    char reason[REASON_BYTES] = "", rows[64];

    if (row == last)
        snprintf(rows, sizeof(rows), "row %" PRIu64, row);
    else
        snprintf(rows, sizeof(rows), "rows %" PRIu64 " to %" PRIu64, row, last);
    explain(misfit, plan, reason);
    return fail_field(failure, TRIT_INVALID_ARGUMENT, field,
                      "group %" PRIu64 " (elements %" PRIu64 " to %" PRIu64 ", %s) %s",
                      misfit->group, misfit->first, misfit->end - 1, rows, reason);
}
