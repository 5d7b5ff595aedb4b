/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_model.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/json.h"
#include "files/gguf_keys.h"

static const struct {
    const char *model_type, *architecture;
} kinds[] = {
    {"llama", "llama"},   {"mistral", "llama"}, {"mixtral", "llama"},
    {"qwen2", "qwen2"},   {"qwen3", "qwen3"},   {"qwen3_moe", "qwen3moe"},
    {"bitnet", "bitnet"}, {"gpt2", "gpt2"},
};

/* The model is not one that is written for llama.cpp; the first reason stays. */
__attribute__((format(printf, 2, 3))) static void reject(struct gguf_model *model,
                                                         const char *format, ...)
{
    va_list values;

    if (!model->architecture)
        return;
    model->architecture = NULL;
    va_start(values, format);
    vsnprintf(model->remark, sizeof(model->remark), format, values);
    va_end(values);
}

static bool is_a(const struct gguf_model *model, const char *architecture)
{
    return model->architecture && strcmp(model->architecture, architecture) == 0;
}

/* ---- numbers ------------------------------------------------------------------------- */

enum { NAMES = 2 };

/* A whole number: the first of the names that is there and not null. */
struct number {
    size_t offset;
    const char *names[NAMES];
    uint32_t most;
    bool optional;
};

#define AT(member) offsetof(struct gguf_model, member)

static const struct number of_llama[] = {
    {AT(blocks), {"num_hidden_layers", NULL}, GGUF_BLOCKS_MAX, false},
    {AT(context), {"max_position_embeddings", NULL}, 1 << 30, false},
    {AT(embedding), {"hidden_size", NULL}, 1 << 20, false},
    {AT(feed_forward), {"intermediate_size", NULL}, 1 << 24, false},
    {AT(heads), {"num_attention_heads", NULL}, 1 << 16, false},
    {AT(key_heads), {"num_key_value_heads", NULL}, 1 << 16, true},
    {AT(head_rows), {"head_dim", NULL}, GGUF_HEAD_ROWS_MAX, true},
    {AT(vocabulary), {"vocab_size", NULL}, GGUF_VOCABULARY_MAX, false},
};

static const struct number of_experts[] = {
    {AT(experts), {"num_experts", "num_local_experts"}, 1 << 16, false},
    {AT(experts_used), {"num_experts_per_tok", NULL}, 1 << 16, false},
    {AT(expert_feed_forward), {"moe_intermediate_size", NULL}, 1 << 24, false},
};

static const struct number of_mixtral[] = {
    {AT(experts), {"num_local_experts", NULL}, 1 << 16, false},
    {AT(experts_used), {"num_experts_per_tok", NULL}, 1 << 16, false},
};

static const struct number of_gpt2[] = {
    {AT(blocks), {"n_layer", NULL}, GGUF_BLOCKS_MAX, false},
    {AT(context), {"n_ctx", "n_positions"}, 1 << 30, false},
    {AT(embedding), {"n_embd", NULL}, 1 << 20, false},
    {AT(feed_forward), {"n_inner", NULL}, 1 << 24, true},
    {AT(heads), {"n_head", NULL}, 1 << 16, false},
    {AT(vocabulary), {"vocab_size", NULL}, GGUF_VOCABULARY_MAX, false},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

static void read_number(struct gguf_model *model, const json_t *root,
                        const struct number *number)
{
    const json_t *value = member(root, number->names[0]);

    if (!value && number->names[1])
        value = member(root, number->names[1]);
    if (!value && number->optional)
        return;
    if (!value) {
        reject(model, "config.json has no %s", number->names[0]);
        return;
    }
    const json_int_t count = json_integer_value(value);
    if (count < 1 || count > (json_int_t)number->most) {
        reject(model, "config.json: %s is not a whole number from 1 to %u",
               number->names[0], number->most);
        return;
    }
    *(uint32_t *)(void *)((char *)model + number->offset) = (uint32_t)count;
}

static void read_numbers(struct gguf_model *model, const json_t *root,
                         const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        read_number(model, root, &numbers[i]);
}

/* A positive number that f32 can hold; `fallback` where it is not there. */
static float read_float(struct gguf_model *model, const json_t *object, const char *name,
                        float fallback)
{
    const json_t *value = member(object, name);
    const float number = (float)json_number_value(value);

    if (!value)
        return fallback;
    if (!(number > 0) || isinf(number))
        reject(model, "config.json: %s is not a positive number", name);
    return number;
}

/* ---- the rotary embedding --------------------------------------------------------------- */

/* llama.cpp derives the factor of attention from that of the scaling, as transformers does
 * unless config.json says another one. */
static void read_yarn(struct gguf_model *model, const json_t *scaling)
{
    static const char *const others[] = {"attention_factor", "mscale", "mscale_all_dim"};
    const json_t *truncate = member(scaling, "truncate");

    model->beta_fast = read_float(model, scaling, "beta_fast", 0);
    model->beta_slow = read_float(model, scaling, "beta_slow", 0);
    if (model->architecture && (model->beta_fast > 0 || model->beta_slow > 0))
        snprintf(
            model->remark, sizeof(model->remark),
            "llama.cpp may read yarn's beta_fast and beta_slow from its command line "
            "only (--yarn-beta-fast, --yarn-beta-slow)");
    for (size_t i = 0; i < COUNT(others); i++)
        if (member(scaling, others[i]))
            reject(model, "config.json: yarn with %s is not written", others[i]);
    if (truncate && !json_is_true(truncate))
        reject(model, "config.json: yarn without truncate is not written");
}

static void read_scaling(struct gguf_model *model, const json_t *root,
                         const json_t *scaling)
{
    const json_t *value = member(scaling, "rope_type");
    const char *type = json_string_value(value ? value : member(scaling, "type"));
    const json_t *original = member(scaling, "original_max_position_embeddings");

    if (!type || strcmp(type, "default") == 0)
        return;
    if (strcmp(type, "linear") == 0)
        model->rope = GGUF_ROPE_LINEAR;
    else if (strcmp(type, "yarn") == 0)
        model->rope = GGUF_ROPE_YARN;
    else if (strcmp(type, "llama3") == 0 && is_a(model, "llama"))
        model->rope = GGUF_ROPE_LLAMA3;
    else
        reject(model, "config.json: rotary scaling of type %.40s is not written", type);
    const bool is_llama3 = model->rope == GGUF_ROPE_LLAMA3;
    model->factor = read_float(model, scaling, "factor", is_llama3 ? 8 : 1);
    model->low_factor = read_float(model, scaling, "low_freq_factor", 1);
    model->high_factor = read_float(model, scaling, "high_freq_factor", 4);
    if (!original)
        original = member(root, "original_max_position_embeddings");
    const json_int_t context = json_integer_value(original);
    model->original_context = is_llama3 ? 8192 : model->context;
    if (original && context > 0 && context <= 1 << 30)
        model->original_context = (uint32_t)context;
    else if (original)
        reject(model, "config.json: original_max_position_embeddings is out of bounds");
    if (model->rope == GGUF_ROPE_YARN)
        read_yarn(model, scaling);
    if (model->low_factor >= model->high_factor)
        reject(model, "config.json: low_freq_factor is not below high_freq_factor");
}

/* transformers before 5 has rope_theta and rope_scaling, since then rope_parameters. */
static void read_rope(struct gguf_model *model, const json_t *root)
{
    const json_t *scaling = member(root, "rope_parameters");
    static const char *const partial = "partial_rotary_factor";

    if (!json_is_object(scaling))
        scaling = member(root, "rope_scaling");
    model->rope_base = read_float(model, root, "rope_theta", 10000);
    model->rope_base = read_float(model, scaling, "rope_theta", model->rope_base);
    read_scaling(model, root, scaling);
    if (read_float(model, root, partial, 1) < 1 ||
        read_float(model, scaling, partial, 1) < 1)
        reject(model, "config.json: only a part of each head is rotated");
}

void gguf_model_factors(const struct gguf_model *model, float *factors)
{
    const double pi = 3.14159265358979323846;
    const double low = (double)model->original_context / (double)model->low_factor;
    const double high = (double)model->original_context / (double)model->high_factor;
    const double factor = (double)model->factor;

    for (uint32_t i = 0; i < model->head_rows / 2; i++) {
        const double turn =
            pow((double)model->rope_base, 2.0 * i / (double)model->head_rows);
        const double wave = 2 * pi * turn;
        const double part =
            ((double)model->original_context / wave - (double)model->low_factor) /
            ((double)model->high_factor - (double)model->low_factor);

        factors[i] = wave < high  ? 1.0F
                     : wave > low ? model->factor
                                  : (float)(1 / ((1 - part) / factor + part));
    }
}

/* ---- the whole ------------------------------------------------------------------------- */

static void read_llama(struct gguf_model *model, const json_t *root)
{
    const json_t *act = member(root, "hidden_act");
    const char *name = json_string_value(act);

    read_numbers(model, root, of_llama, COUNT(of_llama));
    model->norm_epsilon = read_float(model, root, "rms_norm_eps", 1e-6F);
    if (!model->key_heads)
        model->key_heads = model->heads;
    if (model->heads && !model->head_rows)
        model->head_rows = model->embedding / model->heads;
    if (model->head_rows == 0 || model->head_rows > GGUF_HEAD_ROWS_MAX ||
        model->head_rows % 2)
        reject(model, "config.json: a head has %u rows", model->head_rows);
    if (is_a(model, "qwen3moe")) {
        read_numbers(model, root, of_experts, COUNT(of_experts));
        const json_t *step = member(root, "decoder_sparse_step");
        if (json_array_size(member(root, "mlp_only_layers")) ||
            (step && json_integer_value(step) != 1))
            reject(model, "config.json: some layers have no experts");
    }
    const char *type = json_string_value(member(root, "model_type"));
    if (type && strcmp(type, "mixtral") == 0)
        read_numbers(model, root, of_mixtral, COUNT(of_mixtral));
    read_rope(model, root);
    if (model->architecture && name && strcmp(name, "silu") != 0 &&
        strcmp(name, "swish") != 0)
        snprintf(model->remark, sizeof(model->remark),
                 "llama.cpp's %s computes silu, but config.json says %.40s: it loads the "
                 "file, and its results differ",
                 model->architecture, name);
}

static void read_gpt2(struct gguf_model *model, const json_t *root)
{
    read_numbers(model, root, of_gpt2, COUNT(of_gpt2));
    model->key_heads = model->heads;
    if (!model->feed_forward)
        model->feed_forward = 4 * model->embedding;
    model->norm_epsilon = read_float(model, root, "layer_norm_epsilon", 1e-5F);
}

static void read_model(struct gguf_model *model, const json_t *root)
{
    const char *type = json_string_value(member(root, "model_type"));
    const json_t *tied = member(root, "tie_word_embeddings");

    for (size_t i = 0; type && i < COUNT(kinds); i++)
        if (strcmp(kinds[i].model_type, type) == 0)
            model->architecture = kinds[i].architecture;
    if (!model->architecture) {
        snprintf(model->remark, sizeof(model->remark),
                 "llama.cpp's names are known for llama, mistral, mixtral, qwen2, qwen3, "
                 "qwen3_moe, bitnet and gpt2; config.json says %.40s",
                 type ? type : "no model_type");
        return;
    }
    if (is_a(model, "gpt2"))
        read_gpt2(model, root);
    else
        read_llama(model, root);
    /* transformers ties those of GPT-2 unless config.json says otherwise. */
    model->tied = tied ? json_is_true(tied) : is_a(model, "gpt2");
    model->untied = json_is_false(tied);
}

int gguf_model_read(struct gguf_model *model, const char *text, size_t bytes,
                    struct failure *failure)
{
    json_t *root = json_read_config(text, bytes, failure);

    *model = (struct gguf_model){.architecture = NULL};
    if (!root)
        return -1;
    read_model(model, root);
    json_decref(root);
    return 0;
}

/* ---- keys -------------------------------------------------------------------------------- */

/* ARCHITECTURE.KEY */
static const char *key_of(char text[96], const struct gguf_model *model, const char *key)
{
    snprintf(text, 96, "%s.%s", model->architecture, key);
    return text;
}

static void put_u32(struct gguf_keys *keys, const struct gguf_model *model,
                    const char *key, uint32_t value)
{
    char text[96];

    gguf_keys_u32(keys, key_of(text, model, key), value);
}

static void put_f32(struct gguf_keys *keys, const struct gguf_model *model,
                    const char *key, float value)
{
    char text[96];

    gguf_keys_f32(keys, key_of(text, model, key), value);
}

static void put_rope(const struct gguf_model *model, struct gguf_keys *keys)
{
    char text[96];

    put_u32(keys, model, "rope.dimension_count", model->head_rows);
    put_f32(keys, model, "rope.freq_base", model->rope_base);
    if (model->rope != GGUF_ROPE_LINEAR && model->rope != GGUF_ROPE_YARN)
        return;
    gguf_keys_string(keys, key_of(text, model, "rope.scaling.type"),
                     model->rope == GGUF_ROPE_YARN ? "yarn" : "linear");
    put_f32(keys, model, "rope.scaling.factor", model->factor);
    if (model->rope != GGUF_ROPE_YARN)
        return;
    put_u32(keys, model, "rope.scaling.original_context_length", model->original_context);
    if (model->beta_fast > 0)
        put_f32(keys, model, "rope.scaling.yarn_beta_fast", model->beta_fast);
    if (model->beta_slow > 0)
        put_f32(keys, model, "rope.scaling.yarn_beta_slow", model->beta_slow);
}

void gguf_model_put(const struct gguf_model *model, const char *name,
                    struct gguf_keys *keys)
{
    const bool gpt2 = is_a(model, "gpt2");

    gguf_keys_string(keys, "general.architecture", model->architecture);
    gguf_keys_string(keys, "general.type", "model");
    gguf_keys_string(keys, "general.name", name);
    gguf_keys_u32(keys, "general.quantization_version", 2);
    put_u32(keys, model, "vocab_size", model->vocabulary);
    put_u32(keys, model, "block_count", model->blocks);
    put_u32(keys, model, "context_length", model->context);
    put_u32(keys, model, "embedding_length", model->embedding);
    put_u32(keys, model, "feed_forward_length", model->feed_forward);
    put_u32(keys, model, "attention.head_count", model->heads);
    put_u32(keys, model, "attention.head_count_kv", model->key_heads);
    put_f32(keys, model,
            gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
            model->norm_epsilon);
    if (!gpt2) {
        put_u32(keys, model, "attention.key_length", model->head_rows);
        put_u32(keys, model, "attention.value_length", model->head_rows);
        put_rope(model, keys);
    }
    if (!model->experts)
        return;
    put_u32(keys, model, "expert_count", model->experts);
    put_u32(keys, model, "expert_used_count", model->experts_used);
    if (model->expert_feed_forward) /* else it is feed_forward_length */
        put_u32(keys, model, "expert_feed_forward_length", model->expert_feed_forward);
}
