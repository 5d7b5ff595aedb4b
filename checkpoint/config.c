/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/json.h"
#include "checkpoint/name_parts.h"

/* Architectures whose experts are tensors of rank 3. In the first ones the expert is
 * applied as linear(x, weight), in the others as x @ weight. */
static const struct {
    const char *model_type;
    enum experts_layout layout;
} expert_layouts[] = {
    {"mixtral", EXPERTS_OUT_IN},
    {"qwen2_moe", EXPERTS_OUT_IN},
    {"qwen3_moe", EXPERTS_OUT_IN},
    {"qwen3_next", EXPERTS_OUT_IN},
    {"qwen3_5_moe", EXPERTS_OUT_IN},
    {"qwen3_5_moe_text", EXPERTS_OUT_IN},
    {"deepseek_v2", EXPERTS_OUT_IN},
    {"deepseek_v3", EXPERTS_OUT_IN},
    {"glm4_moe", EXPERTS_OUT_IN},
    {"olmoe", EXPERTS_OUT_IN},
    {"flex_olmo", EXPERTS_OUT_IN},
    {"minimax", EXPERTS_OUT_IN},
    {"minimax_m2", EXPERTS_OUT_IN},
    {"phimoe", EXPERTS_OUT_IN},
    {"ernie4_5_moe", EXPERTS_OUT_IN},
    {"hunyuan_v1_moe", EXPERTS_OUT_IN},
    {"dots1", EXPERTS_OUT_IN},
    {"lfm2_moe", EXPERTS_OUT_IN},
    {"granitemoe", EXPERTS_OUT_IN},
    {"granitemoeshared", EXPERTS_OUT_IN},
    {"granitemoehybrid", EXPERTS_OUT_IN},
    {"jetmoe", EXPERTS_OUT_IN},
    {"jamba", EXPERTS_OUT_IN},
    {"llama4", EXPERTS_IN_OUT},
    {"llama4_text", EXPERTS_IN_OUT},
    {"gpt_oss", EXPERTS_IN_OUT},
    {"qwen3_vl_moe", EXPERTS_IN_OUT},
    {"qwen3_vl_moe_text", EXPERTS_IN_OUT},
    {"aria", EXPERTS_IN_OUT},
    {"aria_text", EXPERTS_IN_OUT},
};

/* Architectures built of transformers' Conv1D, whose weight is [in, out]. */
static const char *const conv1d_types[] = {
    "gpt2", "openai-gpt", "imagegpt", "decision_transformer", "ctrl",
};

/* Architectures whose causal language models are `model` and `lm_head` in transformers, with
 * model.embed_tokens. */
static const char *const headed_types[] = {
    "llama",  "mistral",   "mixtral",    "qwen2", "qwen2_moe", "qwen3",
    "bitnet", "qwen3_moe", "starcoder2", "olmo",  "stablelm",
};

/* Others of transformers whose blocks all have the same layers, or experts in the place of an
 * MLP. */
static const char *const uniform_types[] = {
    "gemma",   "gemma2", "gemma3_text", "phi",         "phi3",   "gpt2",    "gpt_neox",
    "gptj",    "opt",    "falcon",      "bloom",       "cohere", "cohere2", "smollm3",
    "granite", "glm",    "glm4",        "olmo2",       "olmo3",  "helium",  "nemotron",
    "arcee",   "bert",   "roberta",     "xlm-roberta",
};

static bool is_among(const char *model_type, const char *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(types[i], model_type) == 0)
            return true;
    return false;
}

static void copy_text(char text[CONFIG_TEXT_BYTES], const json_t *value)
{
    snprintf(text, CONFIG_TEXT_BYTES, "%s",
             json_is_string(value) ? json_string_value(value) : "");
}

static unsigned small_number(const json_t *value)
{
    json_int_t number = json_integer_value(value);

    return number > 0 && number <= 1 << 20 ? (unsigned)number : 0;
}

/* What MLX takes where a module's object says nothing. */
enum { MLX_BITS = 4, MLX_GROUP_SIZE = 64 };

static unsigned number_or(const json_t *object, const char *key, unsigned otherwise)
{
    const json_t *value = json_object_get(object, key);

    return value ? small_number(value) : otherwise;
}

static bool text_is(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* Weights with scales and biases are "affine"; MLX has other modes, without biases. */
static bool is_other_mode(const json_t *object)
{
    const json_t *mode = json_object_get(object, "mode");

    return mode && !json_is_null(mode) && !text_is(mode, "affine");
}

static struct mlx_terms mlx_terms_of(const struct model_config *config,
                                     const json_t *module)
{
    if (json_is_false(module))
        return (struct mlx_terms){config->bits, config->group_size, true};
    return (struct mlx_terms){number_or(module, "bits", MLX_BITS),
                              number_or(module, "group_size", MLX_GROUP_SIZE),
                              is_other_mode(module)};
}

static bool is_module(const json_t *value)
{
    return json_is_object(value) || json_is_false(value);
}

/* MLX's block has an object for each module that is packed in a way of its own, and false for
 * one that is not packed. */
static int read_modules(struct model_config *config, const json_t *mlx)
{
    const json_t *value;
    const char *key;
    size_t bytes = 0, at = 0;
    char *paths;

    json_object_foreach((json_t *)mlx, key, value)
    {
        config->module_count += is_module(value);
        bytes += is_module(value) ? strlen(key) + 1 : 0;
    }
    if (config->module_count == 0)
        return 0;
    config->modules = calloc(1, config->module_count * sizeof(*config->modules) + bytes);
    if (!config->modules) {
        config->module_count = 0;
        return -1;
    }
    paths = (char *)(config->modules + config->module_count);
    json_object_foreach((json_t *)mlx, key, value)
    {
        if (!is_module(value))
            continue;
        config->modules[at++] = (struct mlx_module){.path = strcpy(paths, key),
                                                    .terms = mlx_terms_of(config, value)};
        paths += strlen(key) + 1;
    }
    return 0;
}

static struct compressed_group compressed_group_of(const json_t *weights)
{
    const json_t *symmetric = json_object_get(weights, "symmetric");
    const json_t *type = json_object_get(weights, "type");
    const json_t *order = json_object_get(weights, "actorder");
    const json_t *strategy = json_object_get(weights, "strategy");

    return (struct compressed_group){
        .bits = small_number(json_object_get(weights, "num_bits")),
        .group_size = small_number(json_object_get(weights, "group_size")),
        .by_row = text_is(strategy, "channel") || text_is(strategy, "tensor"),
        .other = json_is_false(symmetric) || (type && !text_is(type, "int")) ||
                 json_is_true(order) || text_is(order, "group"),
    };
}

static void read_compressed(struct model_config *config, const json_t *groups)
{
    const char *key;
    json_t *group;

    if (json_object_size(groups) > COMPRESSED_GROUPS_MAX)
        return;
    json_object_foreach((json_t *)groups, key, group)
    {
        const json_t *weights = json_object_get(group, "weights");

        if (json_is_object(weights))
            config->groups[config->group_count++] = compressed_group_of(weights);
    }
}

static int read_unpacked(struct model_config *config, const json_t *names)
{
    const json_t *one;
    size_t i, bytes = 0;

    json_array_foreach((json_t *)names, i, one) bytes += json_string_length(one) + 1;
    config->unpacked = bytes ? malloc(bytes) : NULL;
    if (bytes && !config->unpacked)
        return -1;
    json_array_foreach((json_t *)names, i, one)
    {
        const char *name = json_string_value(one);

        if (!name || !*name)
            continue;
        memcpy(config->unpacked + config->unpacked_bytes, name, strlen(name) + 1);
        config->unpacked_bytes += strlen(name) + 1;
    }
    return 0;
}

static int read_quantization(struct model_config *config, const json_t *root)
{
    const json_t *hf = json_object_get(root, "quantization_config");
    const json_t *mlx = json_object_get(root, "quantization");

    copy_text(config->quant_method, json_object_get(hf, "quant_method"));
    copy_text(config->linear_class, json_object_get(hf, "linear_class"));
    config->online = strcmp(config->quant_method, "bitnet") == 0 &&
                     text_is(json_object_get(hf, "quantization_mode"), "online");
    config->bits = small_number(json_object_get(mlx, "bits"));
    config->group_size = small_number(json_object_get(mlx, "group_size"));
    config->mlx_other = is_other_mode(mlx);
    const bool compressed = strcmp(config->quant_method, "compressed-tensors") == 0;
    const char *const list = compressed ? "ignore" : "modules_to_not_convert";
    if (compressed)
        read_compressed(config, json_object_get(hf, "config_groups"));
    if (read_unpacked(config, json_object_get(hf, list)) < 0)
        return -1;
    config->fp8_rows =
        small_number(json_array_get(json_object_get(hf, "weight_block_size"), 0));
    config->fp8_columns =
        small_number(json_array_get(json_object_get(hf, "weight_block_size"), 1));
    return read_modules(config, mlx);
}

static bool is_causal(const json_t *architecture)
{
    static const char end[] = "ForCausalLM";
    const char *name = json_string_value(architecture);
    const size_t length = name ? strlen(name) : 0, tail = sizeof(end) - 1;

    return length > tail && strcmp(name + length - tail, end) == 0;
}

/* Classifiers and bare encoders have the same model_type; `architectures` tells them apart. */
static void read_head(struct model_config *config, const json_t *root)
{
    const json_t *architectures = json_object_get(root, "architectures"), *one;
    const bool known = is_among(config->model_type, headed_types,
                                sizeof(headed_types) / sizeof(headed_types[0]));
    bool causal = true;
    size_t i;

    json_array_foreach((json_t *)architectures, i, one) causal &= is_causal(one);
    if (json_array_size(architectures) == 1)
        copy_text(config->architecture, json_array_get(architectures, 0));
    config->hidden_size = small_number(json_object_get(root, "hidden_size"));
    config->inner_size = small_number(json_object_get(root, "intermediate_size"));
    config->hidden_layers = small_number(json_object_get(root, "num_hidden_layers"));
    config->expert_count = number_or(
        root, "num_experts", small_number(json_object_get(root, "num_local_experts")));
    if (known)
        config->blocks = config->hidden_layers;
    config->uniform = known || is_among(config->model_type, uniform_types,
                                        sizeof(uniform_types) / sizeof(uniform_types[0]));
    config->has_head =
        known && causal && json_is_false(json_object_get(root, "tie_word_embeddings"));
}

static void read_architecture(struct model_config *config)
{
    for (size_t i = 0; i < sizeof(expert_layouts) / sizeof(expert_layouts[0]); i++)
        if (strcmp(expert_layouts[i].model_type, config->model_type) == 0)
            config->experts = expert_layouts[i].layout;
    config->dbrx = strcmp(config->model_type, "dbrx") == 0;
    config->conv1d = is_among(config->model_type, conv1d_types,
                              sizeof(conv1d_types) / sizeof(conv1d_types[0]));
}

int model_config_read(struct model_config *config, const char *text, size_t bytes,
                      struct failure *failure)
{
    json_t *root = json_read_config(text, bytes, failure);

    *config = (struct model_config){.bits = 0};
    if (!root)
        return -1;
    copy_text(config->model_type, json_object_get(root, "model_type"));
    config->tied = json_is_true(json_object_get(root, "tie_word_embeddings"));
    config->text = malloc(bytes + 1);
    if (config->text)
        memcpy(config->text, text, bytes);
    config->bytes = bytes;
    const int result = config->text ? read_quantization(config, root) : -1;

    read_architecture(config);
    read_head(config, root);
    json_decref(root);
    if (result == 0)
        return 0;
    model_config_fini(config);
    return fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

void model_config_fini(struct model_config *config)
{
    free(config->modules);
    free(config->unpacked);
    free(config->text);
    config->modules = NULL;
    config->unpacked = NULL;
    config->unpacked_bytes = 0;
    config->text = NULL;
    config->module_count = 0;
}

/* PREFIX.MODULE.weight */
static bool module_is(const char *name, const char *module)
{
    static const char leaf[] = ".weight";
    const size_t length = strlen(name), tail = strlen(module) + sizeof(leaf) - 1;

    return length >= tail && strcmp(name + length - (sizeof(leaf) - 1), leaf) == 0 &&
           strncmp(name + length - tail, module, strlen(module)) == 0 &&
           (length == tail || name[length - tail - 1] == '.');
}

/* Is `tail` the whole text, or what follows a dot in it? Of `length` bytes. */
static bool ends_path(const char *text, size_t length, const char *tail, size_t bytes)
{
    return length >= bytes && memcmp(text + length - bytes, tail, bytes) == 0 &&
           (length == bytes || text[length - bytes - 1] == '.');
}

struct mlx_terms config_mlx_terms(const struct model_config *config, const char *name)
{
    const char *dot = strrchr(name, '.');
    const size_t stem = dot ? (size_t)(dot - name) : strlen(name);
    const struct mlx_module *found = NULL;

    for (size_t i = 0; config && i < config->module_count; i++) {
        const struct mlx_module *module = &config->modules[i];
        const size_t length = strlen(module->path);

        if (length == stem && memcmp(module->path, name, stem) == 0)
            return module->terms;
        if (!found && (ends_path(name, stem, module->path, length) ||
                       ends_path(module->path, length, name, stem)))
            found = module;
    }
    if (found)
        return found->terms;
    return config
               ? (struct mlx_terms){config->bits, config->group_size, config->mlx_other}
               : (struct mlx_terms){.bits = 0};
}

/* transformers takes a name of bitnet's list for the module and for all inside it, with any part of
 * the model before it; compressed-tensors for the module alone. */
static bool keeps_module(const char *listed, const char *module, size_t bytes,
                         bool inside)
{
    const size_t length = strlen(listed);

    if (ends_path(module, bytes, listed, length))
        return inside || bytes == length;
    return inside && bytes > length && memcmp(module, listed, length) == 0 &&
           module[length] == '.';
}

bool config_keeps_dense(const struct model_config *config, const char *name)
{
    const char *dot = strrchr(name, '.');
    const bool inside = config && strcmp(config->quant_method, "bitnet") == 0;

    if (!dot || !config || !config->unpacked)
        return false;
    for (const char *one = config->unpacked;
         one < config->unpacked + config->unpacked_bytes; one += strlen(one) + 1)
        if (keeps_module(one, name, (size_t)(dot - name), inside))
            return true;
    return false;
}

bool name_is_conv1d(const char *name)
{
    static const char *const modules[] = {"c_attn", "c_proj", "c_fc", "q_attn"};

    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        if (module_is(name, modules[i]))
            return true;
    return false;
}

const char *config_may_turn(bool has_config, const struct tensor_entry *layer)
{
    if (name_ends_with(layer->name, ".kernel") || name_ends_with(layer->name, "/kernel"))
        return "Flax";
    return !has_config && layer->shape[0] != layer->shape[1] &&
                   name_is_conv1d(layer->name)
               ? "GPT-2"
               : NULL;
}

bool config_has_reciprocals(const struct model_config *config)
{
    return config && strcmp(config->quant_method, "bitnet") == 0 &&
           strcmp(config->linear_class, "autobitlinear") != 0;
}

bool config_transposes(const struct model_config *config, const char *name)
{
    return config && ((config->conv1d && name_is_conv1d(name)) ||
                      (config->dbrx && name_ends_with(name, ".experts.mlp.w2")));
}
