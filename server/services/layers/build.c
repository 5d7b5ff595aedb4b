/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Create, and the steps that it shares with Load. */
#include "services/layers/build.h"

#include "base/checked.h"
#include "obs/metrics.h"
#include "services/ternary/tensor_call.h"

/* ---- rows of latents -------------------------------------------------------------- */

static uint64_t group_code_bytes(uint64_t group_len)
{
    return div_up(group_len, 4);
}

static uint32_t tail_len(const struct layer_spec *spec)
{
    uint32_t rest = (uint32_t)(spec->in_features % spec->group_size);

    return rest ? rest : spec->group_size;
}

static uint64_t row_code_bytes(const struct layer_spec *spec)
{
    return (layer_groups_per_row(spec) - 1) * group_code_bytes(spec->group_size) +
           group_code_bytes(tail_len(spec));
}

uint64_t layer_code_bytes(const struct layer_spec *spec, uint64_t rows)
{
    return rows * row_code_bytes(spec);
}

static void add_run(const struct kernels *kernels, const struct ternarize_job *job,
                    uint64_t element, struct ternary_counts *counts)
{
    struct ternary_counts run;

    ternary_counts_init(&run);
    ternarize(kernels, job, &run);
    ternary_counts_add(counts, &run, element, 0);
}

void layer_build_rows(const struct kernels *kernels, struct layer *layer,
                      enum trit_dtype dtype, const void *latents, uint64_t first,
                      uint64_t rows, uint8_t *codes, struct ternary_counts *counts)
{
    const struct layer_spec *spec = &layer->spec;
    uint64_t groups = layer_groups_per_row(spec), in = spec->in_features;
    uint32_t tail = tail_len(spec);
    uint64_t full = tail == spec->group_size ? groups : groups - 1;
    struct ternarize_job job = {
        .dtype = dtype, .encoding = TRIT_ENCODING_DENSE, .divisor = spec->group_size};

    ternary_counts_init(counts);
    for (uint64_t row = 0; row < rows; row++) {
        float *scales = layer->scales + (first + row) * groups;
        uint8_t *row_codes = codes + row * row_code_bytes(spec);
        const uint8_t *from = (const uint8_t *)latents + row * in * dtype_bytes(dtype);

        job.in = from;
        job.count = (size_t)full;
        job.group_len = spec->group_size;
        job.scales = scales;
        job.codes = row_codes;
        if (full > 0)
            add_run(kernels, &job, row * in, counts);
        if (full == groups)
            continue;
        job.in = from + full * spec->group_size * dtype_bytes(dtype);
        job.count = 1;
        job.group_len = tail; /* padded with zeros: the divisor stays */
        job.scales = scales + full;
        job.codes = row_codes + full * group_code_bytes(spec->group_size);
        add_run(kernels, &job, row * in + full * spec->group_size, counts);
    }
    linear_pack(in, spec->group_size, codes, first, rows, layer->codes);
}

/* ---- onto the disk, into the registry ---------------------------------------------- */

static struct layer_build *build_of(struct call *call)
{
    return call->method_state;
}

static int save_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct layer_build *build = build_of(call);

    (void)piece;
    if (build->latents.layers &&
        latents_finish(&build->latents, build->layer, build->latents_bytes,
                       build->latents_crc, &worker->failure) < 0)
        return -1;
    return layer_save(build->layer, &worker->failure);
}

/* A layer that is on disk is published even if the call was cancelled meanwhile. */
static void save_done(struct call *call)
{
    struct layer_build *build = build_of(call);

    if (build->pieces.finished == 1)
        layer_publish(build->layer);
    if (call->state != CALL_WORKING)
        return;
    if (call->failure.status == TRIT_OK)
        reply_spec(call, build->layer);
    else
        call_end(call);
}

int layer_build_save(struct layer_build *build, struct call *call)
{
    const struct parallel_for_spec spec = {
        .count = 1,
        .cost = layers_durable(services_of(call)->config.layers)
                    ? PARALLEL_FOR_NEVER_INLINE
                    : 0,
        .run = save_run,
        .done = save_done,
    };

    build->saving = true;
    return parallel_for_start(&build->pieces, call, &spec);
}

void layer_build_cancel(struct call *call)
{
    struct layer_build *build = build_of(call);

    if (build->layer && !build->saving)
        layer_unregister(build->layer);
}

void layer_build_fini(struct layer_build *build, struct call *call)
{
    parallel_for_fini(&build->pieces, call);
    latents_abort(&build->latents);
    if (build->layer && layer_is_building(build->layer))
        layer_unregister(build->layer);
    layer_release(build->layer);
    build->layer = NULL;
}

/* ---- Create ------------------------------------------------------------------------ */

struct create {
    struct layer_build build;
    struct layer_spec spec;
    uint64_t seed;
    uint64_t rows; /* of a piece */
};

static int message(struct call *call)
{
    struct create *create = call->method_state;
    struct wire_layer_spec wire;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_create(&call->scan.parts[PART_ROOT], &wire, &create->seed, error) <
        0)
        return decode_failed(call, "", error);
    create->spec = spec_of_wire(&wire);
    return layer_spec_check(&create->spec, call->config->metrics, &call->failure);
}

/* Draws, projects and packs some rows. Their latents are not kept. */
static int draw_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct create *create = call->method_state;
    struct layer *layer = create->build.layer;
    uint64_t first = piece * create->rows;
    uint64_t rows = piece_length(create->spec.out_features, first, create->rows);
    uint64_t columns = create->spec.in_features;
    float *latents = (float *)(void *)worker->scratch;
    struct ternary_counts counts;

    linear_draw(create->seed, layer_deviation(&create->spec), first * columns,
                rows * columns, latents);
    layer_build_rows(services_of(call)->config.kernels, layer, TRIT_F32, latents, first,
                     rows, worker->scratch + create->rows * columns * sizeof(float),
                     &counts);
    metric_add(call->config->metrics, M_ELEMENTS, rows * columns);
    return 0;
}

static void draw_done(struct call *call)
{
    struct create *create = call->method_state;

    if (call->state == CALL_WORKING && layer_build_save(&create->build, call) < 0)
        call_end(call);
}

static int request(struct call *call)
{
    struct create *create = call->method_state;
    struct layer_build *build = &create->build;
    struct parallel_for_spec pieces = {.run = draw_run, .done = draw_done};

    call_label(call, "layer", create->spec.name);
    if (layers_reserve(services_of(call)->config.layers, &create->spec, &build->layer,
                       &call->failure) < 0)
        return -1;
    build->layer->latents = LATENTS_DRAWN;
    build->layer->latents_dtype = TRIT_F32;
    build->layer->seed = create->seed;
    create->rows = tile_rows(create->spec.out_features, create->spec.in_features);
    pieces.count = div_up(create->spec.out_features, create->rows);
    pieces.scratch_bytes =
        (size_t)(create->rows * create->spec.in_features * sizeof(float) +
                 layer_code_bytes(&create->spec, create->rows));
    pieces.cost = create->spec.out_features * create->spec.in_features * 8;
    return parallel_for_start(&build->pieces, call, &pieces);
}

static void fini(struct call *call)
{
    struct create *create = call->method_state;

    layer_build_fini(&create->build, call);
}

const struct method method_layers_create = {
    .path = "/trit.v1.Layers/Create",
    .scan = scan_plain,
    .state_bytes = sizeof(struct create),
    .message = message,
    .request = request,
    .cancel = layer_build_cancel,
    .fini = fini,
};
