/* SPDX-License-Identifier: Apache-2.0 */
/* By the modeling files of transformers, and llama.cpp's llama-arch.cpp. bitnet-25 and
 * bitnet-b1.58 are of bitnet.cpp. */
#include "checkpoint/needed_table.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/gguf_names.h"

typedef const char *const names[];

static names qkvo = {"q_proj", "k_proj", "v_proj", "o_proj", NULL};
static names phi_attention = {"q_proj", "k_proj", "v_proj", "dense", NULL};
static names phi3_attention = {"qkv_proj", "o_proj", NULL};
static names gated = {"gate_proj", "up_proj", "down_proj", NULL};
static names ungated = {"up_proj", "down_proj", NULL};
static names phi_mlp = {"fc1", "fc2", NULL};
static names phi3_mlp = {"gate_up_proj", "down_proj", NULL};
static names starcoder_mlp = {"c_fc", "c_proj", NULL};
static names mixtral_expert = {"w1", "w2", "w3", NULL};
static names no_modules = {NULL};

static names two_norms = {"input_layernorm", "post_attention_layernorm", NULL};
static names one_norm = {"input_layernorm", NULL};
static names head_norms = {"input_layernorm", "post_attention_layernorm",
                           "self_attn.q_norm", "self_attn.k_norm", NULL};
static names sub_norms = {"input_layernorm", "post_attention_layernorm",
                          "self_attn.attn_sub_norm", "mlp.ffn_sub_norm", NULL};
static names gemma2_norms = {"input_layernorm", "post_attention_layernorm",
                             "pre_feedforward_layernorm", "post_feedforward_layernorm",
                             NULL};
static names gemma3_norms = {"input_layernorm",
                             "post_attention_layernorm",
                             "pre_feedforward_layernorm",
                             "post_feedforward_layernorm",
                             "self_attn.q_norm",
                             "self_attn.k_norm",
                             NULL};
static names olmo2_norms = {"post_attention_layernorm", "post_feedforward_layernorm",
                            "self_attn.q_norm", "self_attn.k_norm", NULL};

enum experts_kind { EXPERTS_NONE, EXPERTS_OF_MLP, EXPERTS_OF_MIXTRAL };

/* Causal language models of transformers, as model.layers and model.embed_tokens. */
static const struct {
    const char *model_type, *class_stem;
    const char *const *attention, *const *mlp, *const *norms;
    enum experts_kind experts;
    const char *norm; /* NULL: it has no weights */
} transformers_models[] = {
    {"llama", "Llama", qkvo, gated, two_norms, EXPERTS_NONE, "model.norm"},
    {"mistral", "Mistral", qkvo, gated, two_norms, EXPERTS_NONE, "model.norm"},
    {"qwen2", "Qwen2", qkvo, gated, two_norms, EXPERTS_NONE, "model.norm"},
    {"qwen3", "Qwen3", qkvo, gated, head_norms, EXPERTS_NONE, "model.norm"},
    {"bitnet", "BitNet", qkvo, gated, sub_norms, EXPERTS_NONE, "model.norm"},
    {"gemma", "Gemma", qkvo, gated, two_norms, EXPERTS_NONE, "model.norm"},
    {"gemma2", "Gemma2", qkvo, gated, gemma2_norms, EXPERTS_NONE, "model.norm"},
    {"gemma3_text", "Gemma3", qkvo, gated, gemma3_norms, EXPERTS_NONE, "model.norm"},
    {"smollm3", "SmolLM3", qkvo, gated, two_norms, EXPERTS_NONE, "model.norm"},
    {"granite", "Granite", qkvo, gated, two_norms, EXPERTS_NONE, "model.norm"},
    {"helium", "Helium", qkvo, gated, two_norms, EXPERTS_NONE, "model.norm"},
    {"olmo", "Olmo", qkvo, gated, no_modules, EXPERTS_NONE, NULL},
    {"olmo2", "Olmo2", qkvo, gated, olmo2_norms, EXPERTS_NONE, "model.norm"},
    {"cohere", "Cohere", qkvo, gated, one_norm, EXPERTS_NONE, "model.norm"},
    {"stablelm", "StableLm", qkvo, gated, one_norm, EXPERTS_NONE, "model.norm"},
    {"starcoder2", "Starcoder2", qkvo, starcoder_mlp, two_norms, EXPERTS_NONE,
     "model.norm"},
    {"arcee", "Arcee", qkvo, ungated, two_norms, EXPERTS_NONE, "model.norm"},
    {"nemotron", "Nemotron", qkvo, ungated, two_norms, EXPERTS_NONE, "model.norm"},
    {"phi", "Phi", phi_attention, phi_mlp, one_norm, EXPERTS_NONE,
     "model.final_layernorm"},
    {"phi3", "Phi3", phi3_attention, phi3_mlp, two_norms, EXPERTS_NONE, "model.norm"},
    {"mixtral", "Mixtral", qkvo, no_modules, two_norms, EXPERTS_OF_MIXTRAL, "model.norm"},
    {"qwen2_moe", "Qwen2Moe", qkvo, gated, two_norms, EXPERTS_OF_MLP, "model.norm"},
    {"qwen3_moe", "Qwen3Moe", qkvo, gated, head_norms, EXPERTS_OF_MLP, "model.norm"},
};

static names gguf_attention = {"q", "k", "v", "output", NULL};
static names gguf_gpt2_attention = {"qkv", "output", NULL};
static names gguf_mlp = {"gate", "up", "down", NULL};
static names gguf_gpt2_mlp = {"up", "down", NULL};
static names gguf_norms = {"attn_norm", "ffn_norm", NULL};
static names gguf_head_norms = {"attn_norm", "ffn_norm", "attn_q_norm", "attn_k_norm",
                                NULL};
static names gguf_sub_norms = {"attn_norm", "ffn_norm", "attn_sub_norm", "ffn_sub_norm",
                               NULL};

static const struct {
    const char *architecture;
    const char *const *attention, *const *mlp, *const *norms;
} gguf_models[] = {
    {"llama", gguf_attention, gguf_mlp, gguf_norms},
    {"qwen2", gguf_attention, gguf_mlp, gguf_norms},
    {"qwen3", gguf_attention, gguf_mlp, gguf_head_norms},
    {"qwen3moe", gguf_attention, no_modules, gguf_head_norms},
    {"bitnet", gguf_attention, gguf_mlp, gguf_sub_norms},
    {"bitnet-25", gguf_attention, gguf_mlp, gguf_norms},
    {"bitnet-b1.58", gguf_attention, gguf_mlp, gguf_norms},
    {"gpt2", gguf_gpt2_attention, gguf_gpt2_mlp, gguf_norms},
};

/* A file without a tokenizer is an archive of tensors, of which any may be left out. */
static bool gguf_model_of(const struct tensor_table *table, struct needed_model *model)
{
    const char *name = table_pair(table, "general.architecture");

    if (!name || !table_pair(table, "tokenizer.ggml.model"))
        return false;
    for (size_t i = 0; i < sizeof(gguf_models) / sizeof(gguf_models[0]); i++) {
        if (strcmp(gguf_models[i].architecture, name) != 0)
            continue;
        *model = (struct needed_model){
            .blocks = "blk.",
            .groups = {{"attn_", gguf_models[i].attention, false},
                       {"ffn_", gguf_models[i].mlp, false},
                       {"", gguf_models[i].norms, true}},
            .embedding = "token_embd",
            .norm = "output_norm",
            .said_by = "the file's keys",
            .block_count = gguf_model_number(table, "block_count"),
        };
        return true;
    }
    return false;
}

static bool names_class(const struct model_config *config, const char *stem)
{
    char name[CONFIG_TEXT_BYTES];

    snprintf(name, sizeof(name), "%sForCausalLM", stem);
    return strcmp(config->architecture, name) == 0;
}

static void add_experts(struct needed_model *model, enum experts_kind kind)
{
    if (kind == EXPERTS_OF_MLP) {
        model->experts = (struct needed_group){"mlp.experts.", gated, false};
        model->router = "mlp.gate";
    }
    if (kind == EXPERTS_OF_MIXTRAL) {
        model->experts =
            (struct needed_group){"block_sparse_moe.experts.", mixtral_expert, false};
        model->router = "block_sparse_moe.gate";
    }
}

static bool transformers_model_of(const struct model_config *config,
                                  struct needed_model *model)
{
    const size_t count = sizeof(transformers_models) / sizeof(transformers_models[0]);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(transformers_models[i].model_type, config->model_type) != 0 ||
            !names_class(config, transformers_models[i].class_stem))
            continue;
        *model = (struct needed_model){
            .blocks = "model.layers.",
            .groups = {{"self_attn.", transformers_models[i].attention, false},
                       {"mlp.", transformers_models[i].mlp, false},
                       {"", transformers_models[i].norms, true}},
            .embedding = "model.embed_tokens",
            .norm = transformers_models[i].norm,
            .said_by = "config.json",
            .block_count = config->hidden_layers,
            .expert_count = config->expert_count,
        };
        add_experts(model, transformers_models[i].experts);
        return true;
    }
    return false;
}

bool needed_model_of(const struct model_config *config, const struct tensor_table *table,
                     struct needed_model *model)
{
    if (table_is_gguf(table))
        return gguf_model_of(table, model);
    return config && transformers_model_of(config, model);
}
