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

/* How MLX packed a weight. */
struct mlx_terms {
    unsigned bits, group_size; /* 0: not known */
    bool other;                /* not with scales and biases, or not at all */
};

/* A module that MLX packed in its own way. */
struct mlx_module {
    const char *path; /* "model.layers.0.mlp.down_proj" */
    struct mlx_terms terms;
};

/* How compressed-tensors packed the weights of a group of modules. */
struct compressed_group {
    unsigned bits;
    unsigned group_size; /* 0: not known */
    bool by_row;         /* a scale for each row, or one for all */
    bool other;          /* not as symmetric integers in the order of the columns */
};

enum { COMPRESSED_GROUPS_MAX = 16 };

struct model_config {
    char model_type[CONFIG_TEXT_BYTES];   /* "gpt2"; "": not given */
    char architecture[CONFIG_TEXT_BYTES]; /* "LlamaForCausalLM"; "": none, or several */
    char quant_method[CONFIG_TEXT_BYTES]; /* of quantization_config; "": none */
    char linear_class[CONFIG_TEXT_BYTES]; /* of bitnet: "bitlinear", "autobitlinear" */
    bool online; /* bitnet's quantization_mode is online: the weights are latents */
    unsigned bits, group_size;  /* of MLX's "quantization"; 0: none */
    struct mlx_module *modules; /* of it, those with terms of their own */
    size_t module_count;
    bool mlx_other; /* the model's terms are `other` */
    /* Of quantization_config, with quant_method compressed-tensors; none if they are more. */
    struct compressed_group groups[COMPRESSED_GROUPS_MAX];
    size_t group_count;
    /* Of quantization_config: modules_to_not_convert, or ignore of compressed-tensors, the names
     * with a NUL after each. NULL: none. */
    char *unpacked;
    size_t unpacked_bytes;
    unsigned fp8_rows, fp8_columns; /* weight_block_size; 0: none */
    bool tied;                      /* tie_word_embeddings */
    /* It has lm_head.weight: a causal language model of a known architecture, and
     * tie_word_embeddings is false. */
    bool has_head;
    unsigned blocks; /* of such a model, as model.layers.0 and so on; 0: not known */
    /* Of any model; 0: not given. inner_size is intermediate_size. */
    unsigned hidden_layers, expert_count, hidden_size, inner_size;
    bool uniform;                /* all blocks of the architecture have the same layers */
    enum experts_layout experts; /* of the architecture */
    bool conv1d;                 /* GPT-2's Conv1D: some layers are stored [in, out] */
    bool dbrx;    /* w2 of the experts, all in one matrix, is stored [in, out] */
    char *text;   /* as it was read; NULL: there is none */
    size_t bytes; /* of the text */
};

/* Reads the JSON in `text`; model_config_fini releases it. INVALID_ARGUMENT: it is not JSON,
 * or not an object. */
int model_config_read(struct model_config *config, const char *text, size_t bytes,
                      struct failure *failure);
void model_config_fini(struct model_config *config); /* harmless on a zeroed one */

/* How MLX packed a weight, as config.json says: in the terms of its module, else in those of
 * the model. A path matches also where it, or the weight's name, has a prefix more. `config`
 * may be NULL. */
struct mlx_terms config_mlx_terms(const struct model_config *config, const char *name);

/* Does quantization_config name the weight's module, or for bitnet a module around it, as one that
 * is not packed? Patterns ("re:") are not read. `config` may be NULL. */
bool config_keeps_dense(const struct model_config *config, const char *name);

/* Are the scales of bitnet's layers 1 / mean magnitude? They are with transformers'
 * linear_class bitlinear; autobitlinear has the mean. `config` may be NULL. */
bool config_has_reciprocals(const struct model_config *config);

/* Does the architecture store this layer as [in, out]? `config` may be NULL. */
bool config_transposes(const struct model_config *config, const char *name);

/* Does the layer have a name that GPT-2 gives to layers stored as [in, out]? Other models
 * use such names for layers stored as [out, in]. */
bool name_is_conv1d(const char *name);

/* A layer is taken as [out, in]. The library that stores layers of this name as [in, out]:
 * "Flax"; or "GPT-2", only if there is no config.json. NULL: none is known. */
const char *config_may_turn(bool has_config, const struct tensor_entry *layer);

#endif
