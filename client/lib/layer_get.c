/* SPDX-License-Identifier: Apache-2.0 */
/* Layers.Get: a layer's spec, its weights in any encoding, or its latents. */
#include "client/lib/layer.h"

#include <inttypes.h>

#include "client/lib/tensor.h"

struct getting {
    struct call call;
    struct wire_layer_get request;
    struct wire_layer_got got;
    struct arrival weight, bias, scales;
};

static int check_arrival(const struct arrival *arrival, uint64_t bytes,
                         struct failure *failure)
{
    if (arrival->output.size == bytes)
        return 0;
    return fail(failure, TRIT_DATA_LOSS, NULL,
                "the reply holds %" PRIu64 " bytes of %s, but the layer needs %" PRIu64,
                arrival->output.size, arrival->output.name, bytes);
}

/* The bytes of a tensor of the layer's shape in the encoding of the reply. */
static int got_size(const struct getting *get, struct encoded_size *size)
{
    const struct wire_layer_spec *spec = &get->got.spec;
    const uint64_t shape[] = {spec->out_features, spec->in_features};
    struct extent extent;

    *size = (struct encoded_size){0, 0};
    if (get->request.part == TRIT_LAYER_SPEC)
        return 0;
    return shape_check("spec", 2, shape, &extent, NULL) != 0
               ? -1
               : encoded_size((enum trit_encoding)get->got.encoding,
                              (enum trit_dtype)get->got.dtype, &extent, spec->group_size,
                              size, NULL);
}

static int got_decode(void *result, const struct scan *reply, struct failure *failure)
{
    struct getting *get = result;
    struct wire_layer_got *got = &get->got;
    bool ternary = get->request.part == TRIT_LAYER_TERNARY;
    uint32_t encoding = ternary ? get->request.encoding : TRIT_ENCODING_DENSE;
    struct encoded_size size;
    char why[CODEC_ERROR_BYTES];

    if (decode_layer_got(&reply->parts[PART_ROOT], got, why) != 0)
        return fail(failure, TRIT_INTERNAL, NULL, "malformed reply: %s", why);
    if (got->encoding != encoding)
        return fail(failure, TRIT_INTERNAL, NULL, "the reply is in encoding %u, not %u",
                    got->encoding, encoding);
    if (got_size(get, &size) != 0)
        return fail(failure, TRIT_INTERNAL, NULL,
                    "malformed reply: its spec and dtype do not describe a tensor");
    return check_arrival(&get->weight, size.data, failure) < 0 ||
                   check_arrival(&get->scales, size.scales, failure) < 0 ||
                   check_arrival(&get->bias,
                                 ternary && got->spec.bias ? got->spec.out_features * 4
                                                           : 0,
                                 failure) < 0
               ? -1
               : 0;
}

static int get_run(struct getting *get, struct failure *failure)
{
    struct unary unary = {.decode = got_decode, .result = get};
    uint8_t head[REQUEST_HEAD_BYTES_MAX];

    outgoing_head(&unary.request, head,
                  encode_layer_get(&get->request, head, sizeof(head)));
    reply_init(&unary.reply, scan_layer_got, get->call.client->message_bytes_max,
               &get->weight.sink, &get->scales.sink);
    unary.reply.reference.sink = &get->bias.sink;
    return unary_run(&unary, "/trit.v1.Layers/Get", &get->call, failure);
}

static void give(struct arrival *arrival, enum trit_dtype dtype, uint32_t rank,
                 uint64_t rows, uint64_t columns, struct trit_array *array)
{
    if (arrival->output.size > 0)
        arrival->array = (struct trit_array){.dtype = dtype,
                                             .rank = rank,
                                             .shape = {rows, columns},
                                             .bytes = arrival->output.size};
    arrival_give(arrival, array);
}

/* Reads which structs of the caller the layer points to, and checks them. */
static int layer_check(const struct trit_layer *layer, struct trit_layer *in,
                       struct failure *failure)
{
    if (sized_read(&sized_layer, "layer", layer, in, failure) < 0)
        return -1;
    if (in->spec && sized_check(&sized_layer_spec, "layer.spec", in->spec, failure) < 0)
        return -1;
    return array_check("layer.weight", in->weight, failure) < 0
               ? -1
               : array_check("layer.bias", in->bias, failure);
}

/* `in` has the pointers that the caller set. */
static void get_give(struct getting *get, const struct trit_layer *in,
                     struct trit_layer *layer)
{
    const struct wire_layer_got *got = &get->got;
    const uint64_t rows = got->spec.out_features, columns = got->spec.in_features;
    struct trit_layer full = {
        .spec = in->spec,
        .weight = in->weight,
        .bias = in->bias,
        .has_seed = got->has_seed,
        .seed = got->seed,
        .encoding = (enum trit_encoding)got->encoding,
        .scale_bytes = get->scales.output.size,
    };
    const struct trit_layer_spec spec = layer_spec_given(&got->spec);

    if (in->spec)
        sized_give(&sized_layer_spec, in->spec, &spec);
    give(&get->weight, (enum trit_dtype)got->dtype, 2, rows, columns, in->weight);
    give(&get->bias, TRIT_F32, 1, rows, 0, in->bias);
    full.scales = output_give(&get->scales.output);
    sized_give(&sized_layer, layer, &full);
}

enum trit_status trit_layer_get(struct trit_client *client, const char *name,
                                const struct trit_layer_get_options *options,
                                struct trit_layer *layer, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct trit_layer_get_options o;
    struct trit_layer in;
    struct getting get;

    if (client_check(client, error, &failure) < 0 ||
        sized_take_optional(&sized_layer_get_options, "options", options, &o, &failure) <
            0 ||
        layer_check(layer, &in, &failure) < 0 ||
        call_init(&get.call, client, "options.call", o.call, 0, &failure) < 0)
        return client_answer(&failure, error);
    get.request = (struct wire_layer_get){.part = (uint32_t)o.part,
                                          .encoding = (uint32_t)o.encoding,
                                          .dtype = (uint32_t)o.dtype};
    arrival_init(&get.weight, "weight");
    arrival_init(&get.bias, "bias");
    arrival_init(&get.scales, "scales");
    if (name_take("name", name, get.request.name, &failure) == 0 &&
        get_run(&get, &failure) == 0)
        get_give(&get, &in, layer);
    arrival_fini(&get.weight);
    arrival_fini(&get.bias);
    arrival_fini(&get.scales);
    return client_answer(&failure, error);
}

void trit_layer_free(struct trit_layer *layer)
{
    struct trit_layer in;

    if (sized_read(&sized_layer, "layer", layer, &in, NULL) < 0)
        return;
    trit_array_free(in.weight);
    trit_array_free(in.bias);
    trit_free(in.scales);
    in.scales = NULL;
    in.scale_bytes = 0;
    sized_give(&sized_layer, layer, &in);
}
