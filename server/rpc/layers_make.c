/* Layers.Create, and what it shares with Load. */
#include "rpc/layers_make.h"

#include "base/checked.h"
#include "obs/metrics.h"
#include "rpc/tensor_call.h"

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

uint64_t making_code_bytes(const struct layer_spec *spec, uint64_t rows)
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

void making_rows(const struct kernels *kernels, struct layer *layer,
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
        job.group_len = tail; /* padded: the divisor stays */
        job.scales = scales + full;
        job.codes = row_codes + full * group_code_bytes(spec->group_size);
        add_run(kernels, &job, row * in + full * spec->group_size, counts);
    }
    linear_pack(in, spec->group_size, codes, first, rows, layer->codes);
}

/* ---- onto the disk, into the registry ------------------------------------------------
 */

static struct making *making_of(struct call *call)
{
    return call->method_state;
}

static int save_run(struct call *call, uint64_t piece, struct lane *lane)
{
    struct making *making = making_of(call);

    (void)piece;
    if (making->latents.layers &&
        latents_finish(&making->latents, making->layer, making->latents_bytes,
                       making->latents_crc, &lane->failure) < 0)
        return -1;
    return layer_save(making->layer, &lane->failure);
}

/* What is on disk is there, also when nobody waits for the answer any more. */
static void save_done(struct call *call)
{
    struct making *making = making_of(call);

    if (making->pieces.finished == 1)
        layer_publish(making->layer);
    if (call->state != CALL_WORKING)
        return;
    if (call->failure.status == TRIT_OK)
        reply_spec(call, making->layer);
    else
        call_end(call);
}

int making_save(struct making *making, struct call *call)
{
    const struct pieces_spec spec = {
        .count = 1,
        .cost = layers_durable(call->rpc->config.layers) ? PIECES_NEVER_INLINE : 0,
        .run = save_run,
        .done = save_done,
    };

    making->saving = true;
    return pieces_start(&making->pieces, call, &spec);
}

void making_cancel(struct call *call)
{
    struct making *making = making_of(call);

    if (making->layer && !making->saving)
        layer_forget(making->layer);
}

void making_fini(struct making *making, struct call *call)
{
    pieces_fini(&making->pieces, call);
    latents_abort(&making->latents);
    if (making->layer && making->layer->state == LAYER_MAKING)
        layer_forget(making->layer);
    layer_release(making->layer);
    making->layer = NULL;
}

/* ---- Create
 * ---------------------------------------------------------------------------- */

struct create {
    struct making making;
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
    return layer_spec_check(&create->spec, call->rpc->config.metrics, &call->failure);
}

/* Rows of latents are drawn, projected, packed and forgotten. */
static int draw_run(struct call *call, uint64_t piece, struct lane *lane)
{
    struct create *create = call->method_state;
    struct layer *layer = create->making.layer;
    uint64_t first = piece * create->rows, left = create->spec.out_features - first;
    uint64_t rows = left < create->rows ? left : create->rows;
    uint64_t columns = create->spec.in_features;
    float *latents = (float *)(void *)lane->scratch;
    struct ternary_counts counts;

    linear_draw(create->seed, layer_deviation(&create->spec), first * columns,
                rows * columns, latents);
    making_rows(call->rpc->config.kernels, layer, TRIT_F32, latents, first, rows,
                lane->scratch + create->rows * columns * sizeof(float), &counts);
    metric_add(call->rpc->config.metrics, M_ELEMENTS, rows * columns);
    return 0;
}

static void draw_done(struct call *call)
{
    struct create *create = call->method_state;

    if (call->state == CALL_WORKING && making_save(&create->making, call) < 0)
        call_end(call);
}

/* Whole rows, about 64 Ki weights of them. */
static uint64_t rows_at_once(const struct layer_spec *spec)
{
    uint64_t rows = TILE_ELEMENTS_MAX / spec->in_features;

    rows = rows ? rows : 1;
    return rows < spec->out_features ? rows : spec->out_features;
}

static int request(struct call *call)
{
    struct create *create = call->method_state;
    struct making *making = &create->making;
    struct pieces_spec pieces = {.run = draw_run, .done = draw_done};

    if (layers_reserve(call->rpc->config.layers, &create->spec, &making->layer,
                       &call->failure) < 0)
        return -1;
    making->layer->latents = LATENTS_DRAWN;
    making->layer->latents_dtype = TRIT_F32;
    making->layer->seed = create->seed;
    create->rows = rows_at_once(&create->spec);
    pieces.count = div_up(create->spec.out_features, create->rows);
    pieces.scratch_bytes =
        (size_t)(create->rows * create->spec.in_features * sizeof(float) +
                 making_code_bytes(&create->spec, create->rows));
    pieces.cost = create->spec.out_features * create->spec.in_features * 8;
    return pieces_start(&making->pieces, call, &pieces);
}

static void fini(struct call *call)
{
    struct create *create = call->method_state;

    making_fini(&create->making, call);
}

const struct method method_layers_create = {
    .path = "/trit.v1.Layers/Create",
    .scan = scan_plain,
    .state_bytes = sizeof(struct create),
    .message = message,
    .request = request,
    .cancel = making_cancel,
    .fini = fini,
};
