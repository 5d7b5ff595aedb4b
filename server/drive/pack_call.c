/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine is asked for a matrix. */
#include "drive/pack_impl.h"

enum trit_dtype pack_dtype(const struct pack_work *work)
{
    const struct plan *plan = &work->p->plan;

    return plan->table.entries[plan->items[work->piece->what.index].data].type->dtype;
}

static uint32_t group_size(const struct pack_work *work)
{
    const struct layer_terms *to = &work->p->plan.terms;

    if (to->encoding == TRIT_ENCODING_DENSE)
        return work->content->terms.group_size;
    /* The tensor's one scale follows from those of its groups. */
    return to->group_size == 0 && work->scales.scales ? work->content->terms.group_size
                                                      : to->group_size;
}

struct engine_pack pack_asked(struct pack_work *work)
{
    const struct plan_piece *what = &work->piece->what;

    return (struct engine_pack){
        .name = what->name,
        .rows = what->matrices.rows,
        .columns = what->matrices.columns,
        .source = {&work->source, work->as_int8 ? TRIT_I8 : work->dtype},
        .from = work->as_int8 ? TRIT_ENCODING_INT8 : work->content->terms.encoding,
        .to = work->p->plan.terms.encoding,
        .dtype = pack_dtype(work),
        .group_size = group_size(work),
        .scales = work->scales.scales,
        .scale_bytes = work->scales.scale_bytes,
        .scales_dtype = work->scales.matrix.scales_dtype,
        .allow_rounded = work->p->allow_rounded,
        .detail = work->p->detail,
        .write = data_put_write,
        .write_arg = &work->data};
}

uint64_t pack_rounded(const struct trit_report *report)
{
    uint64_t rounded = 0;

    for (uint32_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].kind == TRIT_FINDING_SCALE_ROUNDED)
            rounded += report->findings[i].count;
    return rounded;
}

int pack_call(struct pack_work *work, const struct engine_pack *asked,
              struct engine_projected *result)
{
    const struct engine *engine = work->p->engine;

    if (engine->pack(engine->arg, asked, &work->progress, result, work->failure) < 0)
        return -1;
    work->piece->rounded += pack_rounded(&result->report);
    return 0;
}
