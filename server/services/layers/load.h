/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Load and LoadStream: the spec, the bias and the rows of the weight. */
#ifndef SERVICES_LAYERS_LOAD_H
#define SERVICES_LAYERS_LOAD_H

#include "services/chunk.h"
#include "services/layers/row_loader.h"

struct load {
    struct layer_build build; /* first */
    struct layer_spec spec;
    struct wire_tensor weight;
    bool weight_seen;
    struct bulk bias;
    struct rows rows;          /* valid once the layer is reserved */
    struct chunk_reader chunk; /* LoadStream only */
};

/* Checks the spec and load->weight, reserves the layer and prepares for its rows. Call it
 * before the weight's first byte. */
int load_start(struct call *call, struct load *load, const struct wire_layer_spec *wire);

/* Reads the bias that the spec asks for. Call it before its message goes away. */
int load_take_bias(struct call *call, struct load *load);

/* blob_bytes and fini of both methods. */
int load_blob_bytes(struct call *call, uint32_t blob, const uint8_t *bytes, size_t count);
void load_fini(struct call *call);

#endif
