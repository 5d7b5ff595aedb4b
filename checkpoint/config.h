/* SPDX-License-Identifier: Apache-2.0 */
/* What a model's config.json says that names and shapes of tensors do not: how the
 * architecture stores its layers, and how they were quantized. The layouts are those of
 * transformers' modeling files of each model_type. */
#ifndef CHECKPOINT_CONFIG_H
#define CHECKPOINT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "checkpoint/options.h"

enum { CONFIG_TEXT_BYTES = 64 };

struct model_config {
    char model_type[CONFIG_TEXT_BYTES];   /* "gpt2"; "": none is said */
    char quant_method[CONFIG_TEXT_BYTES]; /* of quantization_config; "": none */
    char linear_class[CONFIG_TEXT_BYTES]; /* of bitnet: "bitlinear", "autobitlinear" */
    unsigned bits, group_size;            /* of MLX's "quantization"; 0: none */
    bool tied;                            /* tie_word_embeddings */
    enum experts_layout experts;          /* of the architecture */
    bool conv1d; /* GPT-2's Conv1D: some layers are stored [in, out] */
};

/* `text` is JSON. INVALID_ARGUMENT where it is none, or no object. */
int model_config_read(struct model_config *config, const char *text, size_t bytes,
                      struct failure *failure);

/* Are the scales of bitnet's layers one divided by the mean magnitude? transformers'
 * linear_class bitlinear has them so, autobitlinear has the mean. `config` may be NULL. */
bool config_has_reciprocals(const struct model_config *config);

/* Does the architecture store this layer as [in, out]? `config` may be NULL. */
bool config_transposes(const struct model_config *config, const char *name);

/* Is the layer called as those that GPT-2 stores [in, out] and others [out, in]? */
bool name_is_conv1d(const char *name);

#endif
