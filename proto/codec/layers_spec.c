/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's spec, to and from the wire. */
#include "layers_wire.h"

static const struct field_name names_spec[] = {
    {1, "name", TRIT_NAME_BYTES_MAX, NULL},
    {2, "kind", 0, NULL},
    {3, "in_features", 0, NULL},
    {4, "out_features", 0, NULL},
    {5, "bias", 0, NULL},
    {6, "group_size", 0, NULL},
    {7, "keep_latents", 0, NULL},
    {0},
};
const struct message message_layer_spec = {trit_v1_LayerSpec_fields, names_spec};

void wire_layer_spec_put(trit_v1_LayerSpec *out, const struct wire_layer_spec *from)
{
    *out = (trit_v1_LayerSpec){
        .kind = (int32_t)from->kind,
        .in_features = from->in_features,
        .out_features = from->out_features,
        .bias = from->bias,
        .group_size = from->group_size,
        .keep_latents = from->keep_latents,
    };
    out->name.size = wire_text_put(out->name.bytes, sizeof(out->name.bytes), from->name);
}

int wire_layer_spec(const trit_v1_LayerSpec *from, struct wire_layer_spec *out,
                    char error[CODEC_ERROR_BYTES])
{
    struct wire_layer_spec spec = {
        .kind = (uint32_t)from->kind,
        .in_features = from->in_features,
        .out_features = from->out_features,
        .bias = from->bias,
        .group_size = from->group_size,
        .keep_latents = from->keep_latents,
    };
    if (wire_text("spec.name", from->name.bytes, from->name.size, TRIT_NAME_BYTES_MAX,
                  spec.name, error) != 0)
        return -1;
    *out = spec;
    return 0;
}
