/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of `trit pack` and `trit unpack` have in common. */
#include "client/cli/pack.h"

uint64_t pack_rounded(const struct trit_report *report)
{
    uint64_t rounded = 0;

    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].kind == TRIT_FINDING_SCALE_ROUNDED)
            rounded += report->findings[i].count;
    return rounded;
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
