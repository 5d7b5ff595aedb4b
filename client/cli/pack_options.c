/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of `trit pack` and `trit unpack` have in common. */
#include "client/cli/pack.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/number.h"
#include "kernels/kernels.h"

uint64_t pack_rounded(const struct trit_report *report)
{
    uint64_t rounded = 0;

    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].kind == TRIT_FINDING_SCALE_ROUNDED)
            rounded += report->findings[i].count;
    return rounded;
}

/* Scales of rows in groups of `size`. */
struct grouped {
    char *scales;
    uint32_t size;
    uint64_t in_row;
};

static int regroup_row(const struct grouped *from, struct grouped *to, uint64_t row,
                       uint64_t columns, size_t width, struct failure *failure)
{
    const char *old = from->scales + row * from->in_row * width;
    char *new = to->scales + row * to->in_row *width;

    for (uint64_t i = 0; i < to->in_row; i++) {
        const uint64_t first = i * to->size / from->size;
        const uint64_t last = (u64_min((i + 1) * to->size, columns) - 1) / from->size;

        memcpy(new + i *width, old + first * width, width);
        for (uint64_t k = first + 1; k <= last; k++)
            if (memcmp(old + first * width, old + k * width, width) != 0)
                return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                            "group %" PRIu64 ": its groups of %u weights have different "
                            "scales; a group of %u has one",
                            row * to->in_row + i, from->size, to->size);
    }
    return 0;
}

int pack_regroup(struct pack_work *work)
{
    const struct matrices *matrices = &work->piece->what.matrices;
    const size_t width = dtype_bytes(work->scales.matrix.scales_dtype);
    struct grouped from = {.scales = work->scales.scales,
                           .size = work->content->terms.group_size};
    struct grouped to = {.size = work->p->plan.terms.group_size};
    int result = 0;

    if (!from.scales || !from.size || !to.size || from.size == to.size)
        return 0;
    if (from.size % to.size != 0 && to.size % from.size != 0)
        return fail(work->failure, TRIT_INVALID_ARGUMENT, NULL,
                    "group 0: groups of %u weights cannot become groups of %u", from.size,
                    to.size);
    from.in_row = div_up(matrices->columns, from.size);
    to.in_row = div_up(matrices->columns, to.size);
    const uint64_t bytes = matrices->rows * to.in_row * width;
    to.scales = malloc((size_t)bytes + 1);
    if (!to.scales)
        return fail(work->failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    for (uint64_t row = 0; result == 0 && row < matrices->rows; row++)
        result = regroup_row(&from, &to, row, matrices->columns, width, work->failure);
    if (result < 0) {
        free(to.scales);
        return -1;
    }
    free(work->scales.scales);
    work->scales.scales = to.scales;
    work->scales.scale_bytes = bytes;
    work->scales.matrix.scales = to.scales;
    return 0;
}

struct trit_pack_options pack_options(struct pack_work *work)
{
    const struct packing_run *p = work->p;
    struct trit_pack_options options = TRIT_PACK_OPTIONS_INIT;

    options.call = &work->call;
    options.source_encoding = work->content->terms.encoding;
    options.scales = work->scales.scales;
    options.scale_bytes = work->scales.scale_bytes;
    options.scales_dtype = work->scales.matrix.scales_dtype;
    options.group_size = p->plan.terms.group_size;
    /* The tensor's one scale follows from those of its groups. */
    if (options.group_size == 0 && options.scales)
        options.group_size = work->content->terms.group_size;
    options.encoding = p->plan.terms.encoding;
    options.allow_rounded_scales = option_given(p->options, OPTION_ROUND_SCALES);
    options.write = work->streamed ? data_put_write : NULL;
    options.write_arg = &work->data;
    return options;
}

enum trit_dtype pack_dtype(const struct pack_work *work)
{
    const struct plan *plan = &work->p->plan;

    return plan->table.entries[plan->items[work->piece->what.index].data].type->dtype;
}

struct trit_unpack_options unpack_options(struct pack_work *work)
{
    struct trit_unpack_options options = TRIT_UNPACK_OPTIONS_INIT;

    options.call = &work->call;
    options.encoding = work->content->terms.encoding;
    options.group_size = work->content->terms.group_size;
    options.dtype = pack_dtype(work);
    options.scales = work->scales.scales;
    options.scale_bytes = work->scales.scale_bytes;
    options.scales_dtype = work->scales.matrix.scales_dtype;
    return options;
}
