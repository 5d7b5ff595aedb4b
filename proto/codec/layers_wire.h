/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the codec: a layer's spec, in requests and in replies. */
#ifndef CODEC_LAYERS_WIRE_H
#define CODEC_LAYERS_WIRE_H

#include "proto/codec/layers.h"
#include "wire.h"

#include "trit/v1/layers.pb.h"

extern const struct message message_layer_spec;

void wire_layer_spec_put(trit_v1_LayerSpec *out, const struct wire_layer_spec *from);
int wire_layer_spec(const trit_v1_LayerSpec *from, struct wire_layer_spec *out,
                    char error[CODEC_ERROR_BYTES]);

#endif
