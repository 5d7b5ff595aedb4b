/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json tells of a model that llama.cpp loads. */
#include "checkpoint/gguf_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/gguf_keys.h"
#include "tests/lib/check.h"

#define SIZES                                                                            \
    "\"num_hidden_layers\": 2, \"max_position_embeddings\": 512, \"hidden_size\": 256, " \
    "\"intermediate_size\": 512, \"num_attention_heads\": 4, \"vocab_size\": 96"

static struct gguf_model read(const char *text)
{
    struct gguf_model model;

    CHECK(gguf_model_read(&model, text, strlen(text), NULL) == 0);
    return model;
}

static void rejects(const char *text, const char *why)
{
    const struct gguf_model model = read(text);

    CHECK(!model.architecture);
    if (!strstr(model.remark, why))
        check_failed(__FILE__, __LINE__, "%s: %s", text, model.remark);
}

CASE(knows_architectures, "a model_type has llama.cpp's name, or a remark says why not")
{
    static const char *const known[][2] = {{"llama", "llama"},
                                           {"mistral", "llama"},
                                           {"qwen2", "qwen2"},
                                           {"qwen3", "qwen3"},
                                           {"bitnet", "bitnet"}};
    char text[512];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        snprintf(text, sizeof(text), "{\"model_type\": \"%s\", " SIZES "}", known[i][0]);
        const struct gguf_model model = read(text);
        CHECK_STR(model.architecture, known[i][1]);
        CHECK_EQ(model.key_heads, 4);
        CHECK_EQ(model.head_rows, 64);
        CHECK(!model.tied);
    }
    rejects("{\"model_type\": \"mamba\"}", "config.json says mamba");
    rejects("{}", "no model_type");
}

CASE(reads_gpt2,
     "GPT-2 has names of its own, and tied embeddings unless it says otherwise")
{
    const struct gguf_model model = read(
        "{\"model_type\": \"gpt2\", \"n_layer\": 3, \"n_positions\": 64, \"n_embd\": "
        "8, \"n_head\": 2, \"n_inner\": null, \"vocab_size\": 9}");

    CHECK_STR(model.architecture, "gpt2");
    CHECK_EQ(model.feed_forward, 32);
    CHECK_EQ(model.context, 64);
    CHECK(model.tied);
}

CASE(names_what_is_wrong, "a value that is missing or out of bounds is named")
{
    rejects("{\"model_type\": \"llama\"}", "no num_hidden_layers");
    rejects("{\"model_type\": \"llama\", " SIZES ", \"num_hidden_layers\": 0}",
            "num_hidden_layers is not a whole number from 1 to 4096");
    rejects("{\"model_type\": \"llama\", " SIZES ", \"vocab_size\": 99999999999}",
            "vocab_size");
    rejects("{\"model_type\": \"llama\", " SIZES ", \"head_dim\": 63}", "63 rows");
    rejects("{\"model_type\": \"llama\", " SIZES ", \"rms_norm_eps\": -1}",
            "rms_norm_eps is not a positive number");
    rejects("{\"model_type\": \"qwen3\", " SIZES
            ", \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}",
            "of type dynamic is not written");
    rejects("{\"model_type\": \"llama\", " SIZES ", \"partial_rotary_factor\": 0.5}",
            "only a part");
    rejects("{\"model_type\": \"qwen3_moe\", " SIZES "}", "num_experts");
}

CASE(remarks_another_activation, "an activation that llama.cpp does not compute is said")
{
    const struct gguf_model model =
        read("{\"model_type\": \"bitnet\", " SIZES ", \"hidden_act\": \"relu2\"}");

    CHECK_STR(model.architecture, "bitnet");
    CHECK(strstr(model.remark, "config.json says relu2"));
}

CASE(scales_rotations, "llama3's factors are 1 for fast turns, the factor for slow ones")
{
    const struct gguf_model model = read(
        "{\"model_type\": \"llama\", " SIZES
        ", \"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"llama3\", "
        "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
        "\"original_max_position_embeddings\": 8192}}");
    float factors[GGUF_HEAD_ROWS_MAX];

    CHECK(model.rope == GGUF_ROPE_LLAMA3);
    gguf_model_factors(&model, factors);
    CHECK(factors[0] == 1.0F && factors[31] == 8.0F);
    for (uint32_t i = 1; i < 32; i++)
        CHECK(factors[i] >= factors[i - 1]);
}

CASE(writes_keys, "the keys name the architecture first and count themselves")
{
    const struct gguf_model model = read("{\"model_type\": \"qwen3_moe\", " SIZES
                                         ", \"num_experts\": 4, \"num_experts_per_tok\": "
                                         "2, \"moe_intermediate_size\": 32}");
    struct gguf_keys keys = {.bytes = NULL};

    gguf_model_put(&model, "name", &keys);
    CHECK(!keys.lost);
    CHECK_EQ(keys.count, 19);
    CHECK(memcmp(keys.bytes + 8, "general.architecture", 20) == 0);
    CHECK(memmem(keys.bytes, keys.size, "qwen3moe.expert_used_count", 26));
    gguf_keys_fini(&keys);
}

CASE(refuses_other_texts, "a text that is not a JSON object is refused")
{
    struct gguf_model model;

    CHECK(gguf_model_read(&model, "[]", 2, NULL) < 0);
    CHECK(gguf_model_read(&model, "{", 1, NULL) < 0);
}
