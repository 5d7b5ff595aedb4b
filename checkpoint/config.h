/* SPDX-License-Identifier: Apache-2.0 */
/* Facts from a model's config.json that names and shapes of tensors do not show: how the
 * architecture stores its layers, and how they were quantized. The layouts are those in
 * transformers' modeling files, for each model_type. */
#ifndef CHECKPOINT_CONFIG_H
#define CHECKPOINT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "checkpoint/options.h"

enum { CONFIG_TEXT_BYTES = 64 };

struct model_config {
    char model_type[CONFIG_TEXT_BYTES];   /* "gpt2"; "": not given */
    char quant_method[CONFIG_TEXT_BYTES]; /* of quantization_config; "": none */
    char linear_class[CONFIG_TEXT_BYTES]; /* of bitnet: "bitlinear", "autobitlinear" */
    unsigned bits, group_size;            /* of MLX's "quantization"; 0: none */
    bool group_varies;                    /* a layer of it has another group size */
    bool tied;                            /* tie_word_embeddings */
    enum experts_layout experts;          /* of the architecture */
    bool conv1d; /* GPT-2's Conv1D: some layers are stored [in, out] */
    bool dbrx;   /* w2 of the experts, all in one matrix, is stored [in, out] */
};

/* Reads the JSON in `text`. INVALID_ARGUMENT: it is not JSON, or not an object. */
int model_config_read(struct model_config *config, const char *text, size_t bytes,
                      struct failure *failure);

/* Are the scales of bitnet's layers 1 / mean magnitude? They are with transformers'
 * linear_class bitlinear; autobitlinear has the mean. `config` may be NULL. */
bool config_has_reciprocals(const struct model_config *config);

/* Does the architecture store this layer as [in, out]? `config` may be NULL. */
bool config_transposes(const struct model_config *config, const char *name);

/* Does the layer have a name that GPT-2 gives to layers stored as [in, out]? Other models
 * use such names for layers stored as [out, in]. */
bool name_is_conv1d(const char *name);

#endif
