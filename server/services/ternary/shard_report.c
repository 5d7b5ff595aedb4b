/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/shard_report.h"

#include <gnutls/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "services/ternary/report.h"
#include "services/ternary/tile_exact.h"

/* ---- the request ------------------------------------------------------------------ */

static int refuse_one_scale(const struct plan *plan, struct failure *failure)
{
    const struct encoding_layout *in = encoding_layout(plan->spec.in);

    return fail_field(
        failure, TRIT_INVALID_ARGUMENT, "layer.shard",
        "%s has one scale for the whole tensor, which a shard does not tell; leave shard "
        "out and send the whole layer, or use an encoding with a scale for each group",
        encoding_name(in->scales == SCALES_TENSOR ? plan->spec.in : plan->spec.out));
}

static bool has_one_scale(const struct plan *plan)
{
    return plan->whole || encoding_layout(plan->spec.in)->scales == SCALES_TENSOR ||
           (plan->spec.has_out &&
            encoding_layout(plan->spec.out)->scales == SCALES_TENSOR);
}

/* ---- the layer, on the store's thread ------------------------------------------------ */

static struct shard_report *owner(struct store_shard *shard)
{
    return LIST_OWNER(shard, struct shard_report, store);
}

/* The plan of the layer: that of the shard, with another shape. The dtype of a packed
 * tensor does not describe its bytes; it is only for the report. */
static int plan_layer(struct task *task, const struct shard_box *box,
                      struct failure *failure)
{
    struct plan_spec spec = task->plan.spec;
    const bool packed = task->op != TASK_TERNARIZE && spec.in != TRIT_ENCODING_DENSE;

    spec.rank = box->rank;
    memcpy(spec.shape, box->global, sizeof(spec.shape));
    spec.dtype = packed ? TRIT_F32 : spec.dtype;
    const enum trit_dtype dtype = task->plan.spec.dtype;

    if (plan_init(&task->plan, &spec, failure) < 0)
        return -1;
    task->plan.spec.dtype = dtype;
    return 0;
}

static void take_found(struct merge *merge, const struct shard_found *layer)
{
    merge->counts = layer->counts;
    merge->check = layer->check;
    merge->lost = layer->lost;
    merge->lost_scale = layer->lost_scale;
    merge->rounded = layer->rounded;
    merge->storage = (struct storage_check){.subnormal = layer->subnormal,
                                            .first_subnormal = layer->first_subnormal,
                                            .non_canonical = layer->non_canonical,
                                            .first_byte = layer->first_byte};
}

static int begin(struct store_shard *store, const struct shard_found *layer,
                 struct failure *failure)
{
    struct shard_report *shard = owner(store);

    if (plan_layer(&shard->task, &store->state.box, failure) < 0 ||
        merge_init(&shard->merge, true, failure) < 0)
        return -1;
    take_found(&shard->merge, layer);
    shard->held_count = 0;
    return 0;
}

static void codes(struct store_shard *store, const uint8_t *bytes, size_t count)
{
    gnutls_hash(owner(store)->merge.codes_hash, bytes, count);
}

static void hash_held(struct shard_report *shard)
{
    gnutls_hash(shard->merge.scales_hash, shard->held,
                shard->held_count * sizeof(shard->held[0]));
    shard->held_count = 0;
}

static float group(struct store_shard *store, const struct shard_group_row *row)
{
    struct shard_report *shard = owner(store);
    const float held = scale_as_held(&shard->task, row->scale);

    merge_groups(&shard->merge, &row->scale, shard->task.wants_sums ? &row->sums : NULL,
                 1);
    if (row->inexact)
        merge_inexact(&shard->merge, shard->merge.groups, row->hash);
    shard->held[shard->held_count++] = held;
    if (shard->held_count == SHARD_SCALES_HELD)
        hash_held(shard);
    shard->merge.groups++;
    return held;
}

static int end(struct store_shard *store, struct trit_report *report,
               struct failure *failure)
{
    struct shard_report *shard = owner(store);

    (void)failure;
    hash_held(shard);
    shard->merge.elements = shard->task.plan.elements;
    if (report)
        report_of_merge(report, &shard->merge, &shard->task);
    merge_fini(&shard->merge);
    return 0;
}

/* ---- the shard -------------------------------------------------------------------- */

int shard_report_create(struct shard_report **out, const struct trit_report *report,
                        const struct plan *plan, struct failure *failure)
{
    const struct shard_place place = {.rank = plan->spec.rank,
                                      .shape = plan->spec.shape,
                                      .global_rank = report->shard_rank,
                                      .global_shape = report->shard_global_shape,
                                      .offset = report->shard_offset,
                                      .group_size = plan->spec.group_size};
    struct shard_report *shard;
    struct shard_box box;

    if (has_one_scale(plan))
        return refuse_one_scale(plan, failure);
    if (shard_box_init(&box, &place, failure) < 0)
        return -1;
    shard = calloc(1, sizeof(*shard));
    if (!shard)
        return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "no memory for a shard");
    shard->store = (struct store_shard){
        .state.box = box, .begin = begin, .codes = codes, .group = group, .end = end};
    *out = shard;
    return 0;
}

bool shard_report_by_rows(const struct shard_report *shard)
{
    return !shard_is_contiguous(&shard->store.state.box);
}

size_t shard_report_group(const struct task *task, const struct tile *tile,
                          uint64_t group, uint64_t *inexact,
                          uint8_t bytes[SHARD_GROUP_BYTES_MAX])
{
    struct shard_group_row row = {.scale = tile->scales[group]};

    row.inexact = tile->inexact && tile->inexact_count > 0 && tile->inexact[group];
    if (row.inexact)
        memcpy(row.hash, tile->inexact_hashes[(*inexact)++], sizeof(row.hash));
    if (task->wants_sums)
        row.sums = tile->sums[group];
    return shard_group_encode(&row, task->wants_sums, bytes);
}

static void put_terms(struct shard_state *state, const struct task *task,
                      const struct store_question *question)
{
    const struct plan_spec *spec = &task->plan.spec;
    uint32_t tolerance;

    memcpy(&tolerance, &question->tolerance, sizeof(tolerance));
    state->terms[SHARD_METHOD] = (uint64_t)question->method;
    state->terms[SHARD_MODE] = (uint64_t)question->mode;
    state->terms[SHARD_DTYPE] = (uint64_t)spec->dtype;
    state->terms[SHARD_GROUP_SIZE] = spec->group_size;
    state->terms[SHARD_PARTIAL] = (uint64_t)spec->partial;
    state->terms[SHARD_ENCODING] = (uint64_t)spec->in;
    state->terms[SHARD_SCALES_DTYPE] = (uint64_t)plan_in_scales_dtype(spec);
    state->terms[SHARD_OUTPUT] = spec->has_out ? (uint64_t)spec->out : 0;
    state->terms[SHARD_DETAIL] = task->wants_sums;
    state->terms[SHARD_TOLERANCE] = tolerance;
    state->terms[SHARD_REFERENCE] =
        task->has_reference ? (uint64_t)task->reference_dtype : 0;
}

void shard_report_ready(struct shard_report *shard, const struct task *task,
                        const struct merge *merge, const struct store_question *question)
{
    struct shard_state *state = &shard->store.state;
    struct shard_found *found = &state->found;

    shard->task = *task;
    put_terms(state, task, question);
    shard_found_init(found);
    found->counts = merge->counts;
    found->check = merge->check;
    memcpy(found->sample_rows, merge->sample_rows, sizeof(found->sample_rows));
    memcpy(found->near_rows, merge->near_rows, sizeof(found->near_rows));
    found->lost = merge->lost;
    found->lost_scale = merge->lost_scale;
    found->rounded = merge->rounded;
    found->subnormal = merge->storage.subnormal;
    found->first_subnormal = merge->storage.first_subnormal;
    found->non_canonical = merge->storage.non_canonical;
    found->first_byte = merge->storage.first_byte;
}
