/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Get: the ternary weights in an encoding, or the latents. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "layers/files.h"
#include "obs/metrics.h"
#include "proto/names.h"
#include "services/layers/call.h"
#include "services/layers/parallel.h"
#include "services/ternary/tensor_call.h"

struct get {
    struct wire_layer_get wire;
    struct layer *layer;
    struct plan plan; /* from dense f32 to the requested encoding */
    struct parallel_for pieces;
    uint64_t rows; /* in a piece */
    struct block data, scales;
    uint64_t data_bytes, scale_bytes, bias_bytes;
    struct h2_slice bias_slice, scale_slice, data_slice;
};

static int message(struct call *call)
{
    struct get *get = call->method_state;
    char error[CODEC_ERROR_BYTES];

    if (decode_layer_get(&call->scan.parts[PART_ROOT], &get->wire, error) < 0)
        return decode_failed(call, "", error);
    return check_enum(call, "part", &layer_part_names, get->wire.part);
}

/* ---- the reply --------------------------------------------------------------------- */

static enum trit_dtype reply_dtype(const struct get *get)
{
    if (get->wire.part == TRIT_LAYER_SPEC)
        return TRIT_DTYPE_UNSPECIFIED;
    if (get->wire.part == TRIT_LAYER_LATENTS)
        return get->layer->latents_dtype;
    if (get->wire.encoding == TRIT_ENCODING_DENSE)
        return (enum trit_dtype)get->wire.dtype;
    return get->wire.encoding == TRIT_ENCODING_INT8 ? TRIT_I8 : TRIT_U8;
}

static void reply(struct call *call)
{
    struct get *get = call->method_state;
    const struct layer *layer = get->layer;
    struct wire_layer_got got = {
        .spec = wire_of_spec(&layer->spec),
        .has_seed = layer->latents == LATENTS_DRAWN,
        .seed = layer->seed,
        .encoding = get->wire.encoding,
        .dtype = reply_dtype(get),
        .bias_bytes = get->bias_bytes,
        .scale_bytes = get->scale_bytes,
        .data_bytes = get->data_bytes,
    };
    uint8_t head[GRPC_PREFIX_BYTES + REPLY_HEAD_BYTES_MAX];
    size_t cut[2], count = encode_layer_got(&got, head + GRPC_PREFIX_BYTES,
                                            REPLY_HEAD_BYTES_MAX, cut);

    frame_prefix(head,
                 (uint32_t)(count + got.bias_bytes + got.scale_bytes + got.data_bytes));
    cut[0] += GRPC_PREFIX_BYTES;
    cut[1] += GRPC_PREFIX_BYTES;
    count += GRPC_PREFIX_BYTES;
    if (call_write_copy(call, head, cut[0]) == 0) {
        reply_lend(call, &get->bias_slice, layer->bias, got.bias_bytes);
        if (cut[1] > cut[0] && call_write_copy(call, head + cut[0], cut[1] - cut[0]) < 0)
            reply_broken(call);
        reply_lend(call, &get->scale_slice, get->scales.bytes, got.scale_bytes);
        if (count > cut[1] && call_write_copy(call, head + cut[1], count - cut[1]) < 0)
            reply_broken(call);
        reply_lend(call, &get->data_slice, get->data.bytes, got.data_bytes);
        metric_add(call->config->metrics, M_TENSOR_OUT_BYTES, got.data_bytes);
    }
    call_end(call);
}

static void done(struct call *call)
{
    if (call->state != CALL_WORKING)
        return;
    if (call->failure.status == TRIT_OK)
        reply(call);
    else
        call_end(call);
}

/* ---- the ternary weights ----------------------------------------------------------- */

static uint64_t nonzeros(const float *values, uint64_t count)
{
    uint64_t found = 0;

    for (uint64_t i = 0; i < count; i++)
        found += values[i] != 0;
    return found;
}

/* Encodes a group of t*s. The sum of its magnitudes divided by the number of nonzeros
 * is exactly s, so ternarizing the group again changes nothing. Where the result is not
 * s, the layer holds a code that is not a t. */
static int encode_group(struct call *call, const float *values, uint32_t group_len,
                        uint64_t group, uint8_t *out, float *scale, struct worker *worker)
{
    struct get *get = call->method_state;
    uint64_t nonzero = nonzeros(values, group_len);
    struct ternary_counts counts;
    struct ternarize_job job = {
        .dtype = TRIT_F32,
        .count = 1,
        .group_len = group_len,
        .divisor = nonzero ? (size_t)nonzero : 1,
        .in = values,
        .encoding = get->plan.spec.out,
        .out = out,
        .scales = scale,
    };

    ternary_counts_init(&counts);
    ternarize(services_of(call)->config.kernels, &job, &counts);
    if (nonzero && *scale != get->layer->scales[group])
        return fail(&worker->failure, TRIT_DATA_LOSS, NULL,
                    "group %" PRIu64 " of the layer \"%s\" is not ternary", group,
                    get->layer->spec.name);
    if (counts.scales_lost && encoding_layout(get->plan.spec.out)->scales != SCALES_F32)
        return fail_field(&worker->failure, TRIT_INVALID_ARGUMENT, "encoding",
                          "the scale %g of group %" PRIu64
                          " is 0 or infinite in f16; use "
                          "int8 or dense",
                          (double)*scale, group);
    return 0;
}

static void put_scale(struct get *get, uint64_t group, float scale)
{
    uint16_t bits = f32_to_f16(scale);

    if (get->scale_bytes == get->plan.groups * 4)
        memcpy(get->scales.bytes + group * 4, &scale, 4);
    else if (get->scale_bytes)
        memcpy(get->scales.bytes + group * 2, &bits, 2);
}

/* Rows as a span of the plan. */
static struct tile_span rows_span(const struct get *get, uint64_t first, uint64_t rows)
{
    return (struct tile_span){.first_group = first * get->plan.groups_per_row,
                              .groups = rows * get->plan.groups_per_row};
}

static int encode_rows(struct call *call, uint64_t first, uint64_t rows,
                       const float *values, struct worker *worker)
{
    struct get *get = call->method_state;
    struct tile_span span = rows_span(get, first, rows);
    const struct encoding_layout *layout = encoding_layout(get->plan.spec.out);
    uint64_t at = 0, row_bytes = get->plan.out_bytes / get->plan.rows;
    struct group_range run;

    while (plan_next_range(&get->plan, &span, &at, &run)) {
        for (uint64_t i = 0; i < run.count; i++) {
            uint64_t element = run.element + i * run.group_len;
            uint64_t group = span.first_group + run.first_group + i;
            uint64_t out = element / layout->block_elements * layout->block_bytes;
            float scale;

            if (encode_group(call, values + element, run.group_len, group,
                             get->data.bytes + first * row_bytes + out, &scale,
                             worker) < 0)
                return -1;
            put_scale(get, group, scale);
        }
    }
    return 0;
}

/* Refuses a dtype that would round a group's scale to 0 or infinity. */
static int check_scales(const struct get *get, uint64_t first, uint64_t rows,
                        struct worker *worker)
{
    enum trit_dtype dtype = (enum trit_dtype)get->wire.dtype;
    uint64_t group = first * get->plan.groups_per_row;
    uint64_t end = (first + rows) * get->plan.groups_per_row;

    for (; group < end; group++) {
        float scale = get->layer->scales[group];

        if (scale_lost(dtype, scale))
            return fail_field(&worker->failure, TRIT_INVALID_ARGUMENT, "dtype",
                              "%s holds the scale %g of group %" PRIu64
                              " as 0 or infinity; use f32",
                              dtype_name(dtype), (double)scale, group);
    }
    return 0;
}

static int ternary_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct get *get = call->method_state;
    const struct layer_spec *spec = &get->layer->spec;
    uint64_t first = piece * get->rows;
    uint64_t rows = piece_length(spec->out_features, first, get->rows);
    float *values = (float *)(void *)worker->scratch;
    size_t width = dtype_bytes((enum trit_dtype)get->wire.dtype);

    linear_rows(services_of(call)->config.kernels, &get->layer->matrix, first, rows,
                values);
    if (get->wire.encoding != TRIT_ENCODING_DENSE)
        return encode_rows(call, first, rows, values, worker);
    if (check_scales(get, first, rows, worker) < 0)
        return -1;
    narrow((enum trit_dtype)get->wire.dtype, values, rows * spec->in_features,
           get->data.bytes + first * spec->in_features * width);
    return 0;
}

static int plan_ternary(struct call *call, struct get *get)
{
    const struct layer_spec *spec = &get->layer->spec;
    const struct encoding_layout *layout =
        encoding_layout((enum trit_encoding)get->wire.encoding);
    struct plan_spec plan = {
        .dtype = TRIT_F32,
        .rank = 2,
        .shape = {spec->out_features, spec->in_features},
        .group_size = spec->group_size,
        .in = TRIT_ENCODING_DENSE,
        .out = (enum trit_encoding)get->wire.encoding,
        .has_out = true,
    };

    if (get->wire.dtype == TRIT_DTYPE_UNSPECIFIED)
        get->wire.dtype = TRIT_F32;
    if (check_dtype(call, "dtype", get->wire.dtype) < 0)
        return -1;
    if (layout && layout->scales == SCALES_TENSOR)
        return fail_field(&call->failure, TRIT_INVALID_ARGUMENT, "encoding",
                          "%s has one scale per tensor, the layer one per group",
                          encoding_name((enum trit_encoding)get->wire.encoding));
    if (plan_init(&get->plan, &plan, &call->failure) < 0)
        return -1;
    get->data_bytes = get->plan.out_bytes;
    if (get->wire.encoding == TRIT_ENCODING_DENSE)
        get->data_bytes =
            get->plan.elements * dtype_bytes((enum trit_dtype)get->wire.dtype);
    get->scale_bytes = get->plan.out_scale_bytes;
    get->bias_bytes = get->layer->bias ? spec->out_features * sizeof(float) : 0;
    return 0;
}

/* ---- the latents ------------------------------------------------------------------- */

static int draw_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct get *get = call->method_state;
    const struct layer_spec *spec = &get->layer->spec;
    uint64_t first = piece * get->rows;
    uint64_t rows = piece_length(spec->out_features, first, get->rows);

    (void)worker;
    linear_draw(get->layer->seed, layer_deviation(spec), first * spec->in_features,
                rows * spec->in_features,
                (float *)(void *)get->data.bytes + first * spec->in_features);
    return 0;
}

static int read_run(struct call *call, uint64_t piece, struct worker *worker)
{
    struct get *get = call->method_state;

    (void)piece;
    return latents_read(get->layer, get->data.bytes, get->data_bytes, &worker->failure);
}

static int plan_latents(struct call *call, struct get *get)
{
    const struct layer_spec *spec = &get->layer->spec;

    if (get->layer->latents == LATENTS_NONE)
        return fail_field(&call->failure, TRIT_FAILED_PRECONDITION, "part",
                          "the layer \"%s\" was loaded without keep_latents", spec->name);
    get->data_bytes =
        spec->in_features * spec->out_features * dtype_bytes(get->layer->latents_dtype);
    return 0;
}

/* ---- the request ------------------------------------------------------------------- */

static int work(struct call *call, struct get *get)
{
    const struct layer_spec *spec = &get->layer->spec;
    struct parallel_for_spec pieces = {.done = done};

    get->rows = tile_rows(spec->out_features, spec->in_features);
    pieces.count = div_up(spec->out_features, get->rows);
    pieces.cost = spec->out_features * spec->in_features;
    if (get->wire.part == TRIT_LAYER_TERNARY) {
        pieces.run = ternary_run;
        pieces.scratch_bytes = (size_t)(get->rows * spec->in_features) * sizeof(float);
    } else if (get->layer->latents == LATENTS_DRAWN) {
        pieces.run = draw_run;
    } else {
        pieces.run = read_run;
        pieces.count = 1;
        pieces.cost = PARALLEL_FOR_NEVER_INLINE;
    }
    return parallel_for_start(&get->pieces, call, &pieces);
}

static int request(struct call *call)
{
    struct get *get = call->method_state;

    if (call_layer(call, get->wire.name, &get->layer) < 0)
        return -1;
    if (get->wire.part == TRIT_LAYER_SPEC) {
        get->wire.encoding = TRIT_ENCODING_DENSE;
        reply(call);
        return 0;
    }
    if (get->wire.part == TRIT_LAYER_LATENTS)
        get->wire.encoding = TRIT_ENCODING_DENSE;
    if ((get->wire.part == TRIT_LAYER_TERNARY ? plan_ternary(call, get)
                                              : plan_latents(call, get)) < 0 ||
        check_reply_bytes(call, "name",
                          get->data_bytes + get->scale_bytes + get->bias_bytes) < 0)
        return -1;
    if (call_block(call, (size_t)get->data_bytes, &get->data) < 0 ||
        (get->scale_bytes &&
         call_block(call, (size_t)get->scale_bytes, &get->scales) < 0))
        return memory_spent(call);
    return work(call, get);
}

static void fini(struct call *call)
{
    struct get *get = call->method_state;

    parallel_for_fini(&get->pieces, call);
    blocks_put(services_of(call)->config.blocks, &get->data);
    blocks_put(services_of(call)->config.blocks, &get->scales);
    layer_release(get->layer);
}

const struct method method_layers_get = {
    .path = "/trit.v1.Layers/Get",
    .scan = scan_plain,
    .state_bytes = sizeof(struct get),
    .message = message,
    .request = request,
    .fini = fini,
};
