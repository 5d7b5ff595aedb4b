/* SPDX-License-Identifier: Apache-2.0 */
/* What config.json says of a model, and what an output's says. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/config_write.h"
#include "checkpoint/plan_pack.h"
#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

static struct model_config config_of(const char *text)
{
    struct failure failure = {.status = TRIT_OK};
    struct model_config config;

    if (model_config_read(&config, text, strlen(text), &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    return config;
}

CASE(reads_the_architecture, "experts and Conv1D layers are known by model_type")
{
    static const struct {
        const char *text;
        enum experts_layout experts;
        bool conv1d;
    } cases[] = {
        {"{\"model_type\":\"mixtral\"}", EXPERTS_OUT_IN, false},
        {"{\"model_type\":\"qwen3_moe\"}", EXPERTS_OUT_IN, false},
        {"{\"model_type\":\"gpt_oss\"}", EXPERTS_IN_OUT, false},
        {"{\"model_type\":\"llama4_text\"}", EXPERTS_IN_OUT, false},
        {"{\"model_type\":\"gpt2\"}", EXPERTS_UNKNOWN, true},
        {"{\"model_type\":\"openai-gpt\"}", EXPERTS_UNKNOWN, true},
        {"{\"model_type\":\"llama\"}", EXPERTS_UNKNOWN, false},
        {"{\"model_type\":\"GPT2\"}", EXPERTS_UNKNOWN, false},
        {"{\"model_type\":\"gpt2x\"}", EXPERTS_UNKNOWN, false},
        {"{\"text_config\":{\"model_type\":\"gpt2\"}}", EXPERTS_UNKNOWN, false},
        {"{}", EXPERTS_UNKNOWN, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model_config config = config_of(cases[i].text);

        CHECK_EQ(config.experts, cases[i].experts);
        CHECK_EQ(config.conv1d, cases[i].conv1d);
        CHECK_EQ(config_transposes(&config, "h.0.mlp.c_fc.weight"), cases[i].conv1d);
        model_config_fini(&config);
    }
    CHECK(!config_transposes(NULL, "h.0.mlp.c_fc.weight"));
}

CASE(reads_quantization, "both kinds of quantization blocks are read")
{
    struct model_config config =
        config_of("{\"quantization\":{\"bits\":2,\"group_size\":64},"
                  "\"quantization_config\":{\"quant_method\":\"bitnet\","
                  "\"linear_class\":\"autobitlinear\"},\"tie_word_embeddings\":true}");

    CHECK_EQ(config.bits, 2);
    CHECK_EQ(config.group_size, 64);
    CHECK_STR(config.quant_method, "bitnet");
    CHECK_STR(config.linear_class, "autobitlinear");
    CHECK(config.tied);
    model_config_fini(&config);
}

CASE(
    knows_modules_that_are_not_packed,
    "bitnet's list names modules and what is inside them, compressed-tensors' the modules alone")
{
    struct model_config bitnet = config_of(
        "{\"quantization_config\":{\"quant_method\":\"bitnet\","
        "\"modules_to_not_convert\":[\"lm_head\", 7, \"\", \"model.layers.1\"]}}");
    struct model_config compressed =
        config_of("{\"quantization_config\":{\"quant_method\":\"compressed-tensors\","
                  "\"ignore\":[\"re:.*\", \"model.layers.1\", \"a.up\"]}}");

    CHECK(config_keeps_dense(&bitnet, "lm_head.weight"));
    CHECK(config_keeps_dense(&bitnet, "model.lm_head.weight"));
    CHECK(config_keeps_dense(&bitnet, "model.layers.1.mlp.up.weight"));
    CHECK(!config_keeps_dense(&bitnet, "model.layers.10.mlp.up.weight"));
    CHECK(!config_keeps_dense(&bitnet, "my_lm_head.weight"));
    CHECK(!config_keeps_dense(&bitnet, "weight"));
    CHECK(config_keeps_dense(&compressed, "a.up.weight"));
    CHECK(!config_keeps_dense(&compressed, "b.a.up.weight"));
    CHECK(!config_keeps_dense(&compressed, "model.layers.1.mlp.up.weight"));
    CHECK(!config_keeps_dense(NULL, "a.up.weight"));
    model_config_fini(&bitnet);
    model_config_fini(&compressed);
}

CASE(knows_the_head,
     "a causal model of a known architecture has a head if tie_word_embeddings is false")
{
    static const struct {
        const char *text;
        bool has_head;
    } cases[] = {
        {"\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"tie_word_embeddings\":false",
         true},
        {"\"qwen3\",\"tie_word_embeddings\":false", true},
        {"\"qwen3\",\"architectures\":null,\"tie_word_embeddings\":false", true},
        {"\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"tie_word_embeddings\":true",
         false},
        {"\"llama\",\"architectures\":[\"LlamaForCausalLM\"]", false},
        {"\"llama\",\"tie_word_embeddings\":0", false},
        {"\"llama\",\"tie_word_embeddings\":null", false},
        {"\"llama\",\"architectures\":[\"LlamaModel\"],\"tie_word_embeddings\":false",
         false},
        {"\"llama\",\"architectures\":[\"LlamaForCausalLM\",\"LlamaModel\"],"
         "\"tie_word_embeddings\":false",
         false},
        {"\"llama\",\"architectures\":[1],\"tie_word_embeddings\":false", false},
        {"\"qwen2\",\"architectures\":[\"Qwen2ForSequenceClassification\"],"
         "\"tie_word_embeddings\":false",
         false},
        {"\"bert\",\"tie_word_embeddings\":false", false},
        {"\"llava\",\"text_config\":{\"tie_word_embeddings\":false}", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];

        snprintf(text, sizeof(text), "{\"model_type\":%s}", cases[i].text);
        struct model_config config = config_of(text);
        CHECK_EQ(config.has_head, cases[i].has_head);
        model_config_fini(&config);
    }
}

/* Whatever is of another type than expected says nothing. */
CASE(reads_odd_types, "a value of an unexpected type is treated as absent")
{
    static const char *const texts[] = {
        "{\"model_type\":1,\"quantization\":{\"bits\":\"2\",\"group_size\":64.0}}",
        "{\"model_type\":null,\"quantization\":null,\"quantization_config\":null}",
        "{\"model_type\":[\"gpt2\"],\"quantization\":[2],\"quantization_config\":\"x\"}",
        "{\"model_type\":{\"gpt2\":1},\"quantization\":{\"bits\":{},\"group_size\":[]}}",
        "{\"quantization\":{\"bits\":-2,\"group_size\":9223372036854775807}}",
        "{\"quantization\":{\"bits\":0,\"group_size\":1048577}}",
        "{\"quantization_config\":{\"quant_method\":2,\"linear_class\":null}}",
        "{\"tie_word_embeddings\":\"true\"}",
        "{\"tie_word_embeddings\":1}",
        "{\"quantization\":{\"bits\":true}}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct model_config config = config_of(texts[i]);

        CHECK_STR(config.model_type, "");
        CHECK_STR(config.quant_method, "");
        CHECK_STR(config.linear_class, "");
        CHECK_EQ(config.bits, 0);
        CHECK_EQ(config.group_size, 0);
        CHECK(!config.tied && !config.conv1d);
        model_config_fini(&config);
    }
}

CASE(reads_duplicates_and_long_texts,
     "the last of two values counts, and a long one is truncated")
{
    struct model_config config =
        config_of("{\"model_type\":\"gpt2\",\"model_type\":\"llama\"}");
    char text[400], name[301];

    CHECK_STR(config.model_type, "llama");
    model_config_fini(&config);
    memset(name, 'g', 300);
    name[300] = '\0';
    snprintf(text, sizeof(text), "{\"model_type\":\"%s\"}", name);
    config = config_of(text);
    CHECK_EQ(strlen(config.model_type), CONFIG_TEXT_BYTES - 1);
    model_config_fini(&config);
}

CASE(refuses_other_json, "anything but a JSON object is refused")
{
    static const char *const texts[] = {
        "",      "[]", "1", "null", "{", "{}x", "{\"a\":}", "\xff", "{\"\\u0000\":1}",
        "\"{}\""};
    char deep[5000];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct failure failure = {.status = TRIT_OK};
        struct model_config config;

        CHECK(model_config_read(&config, texts[i], strlen(texts[i]), &failure) < 0);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        CHECK(config.model_type[0] == '\0');
    }
    memset(deep, '[', sizeof(deep));
    struct model_config config;
    CHECK(model_config_read(&config, deep, sizeof(deep), NULL) < 0);
}

CASE(knows_conv1d_names, "Conv1D layers are recognized by the name of their module")
{
    CHECK(name_is_conv1d("transformer.h.0.attn.c_attn.weight"));
    CHECK(name_is_conv1d("c_proj.weight"));
    CHECK(!name_is_conv1d("h.0.xc_attn.weight"));
    CHECK(!name_is_conv1d("h.0.c_attn.bias"));
    CHECK(!name_is_conv1d("c_attn"));
    CHECK(!name_is_conv1d(".weight"));
    CHECK(!name_is_conv1d(""));
}

/* ---- config.json of an output -------------------------------------------------------- */

struct output {
    struct tensor_table input;
    struct plan plan;
};

static void output_init(struct output *output, enum trit_encoding encoding)
{
    const struct checkpoint_options options = {.has_encoding = true,
                                               .encoding = encoding};

    table_init(&output->input);
    add(&output->input, "l.weight", "F32", 4, 256, 0);
    add(&output->input, "l.norm.weight", "F32", 4, 0, 0);
    add(&output->input, "lm_head.weight", "F32", 8, 256, 0);
    add(&output->input, "embed_tokens.weight", "F32", 8, 256, 0);
    add(&output->input, "m.router.weight", "F32", 4, 256, 0);
    seal(&output->input);
    CHECK(plan_create(&output->plan, &options, false, &output->input, NULL) == 0);
}

static void output_fini(struct output *output)
{
    plan_destroy(&output->plan);
    table_fini(&output->input);
}

static json_t *written(const struct output *output, const char *text)
{
    struct failure failure = {.status = TRIT_OK};
    char *out;

    if (config_write(&output->plan, text, strlen(text), &out, &failure) < 0)
        check_failed(__FILE__, __LINE__, "%s", failure.message);
    json_t *json = json_loads(out, 0, NULL);
    CHECK(json);
    free(out);
    return json;
}

static const char *text_at(const json_t *json, const char *block, const char *key)
{
    return json_string_value(json_object_get(json_object_get(json, block), key));
}

CASE(writes_bitnet,
     "the quantization block of hf_bitnet lists the linear layers that stay dense")
{
    struct output output;

    output_init(&output, TRIT_ENCODING_HF_BITNET);
    json_t *json = written(&output, "{\"a\":1.5,\"quantization_config\":{\"old\":1}}");
    const json_t *block = json_object_get(json, "quantization_config");
    const json_t *kept = json_object_get(block, "modules_to_not_convert");
    CHECK(json_real_value(json_object_get(json, "a")) == 1.5);
    CHECK(!json_object_get(block, "old"));
    CHECK_STR(text_at(json, "quantization_config", "quant_method"), "bitnet");
    CHECK_STR(text_at(json, "quantization_config", "linear_class"), "autobitlinear");
    CHECK_EQ(json_array_size(kept), 2);
    CHECK_STR(json_string_value(json_array_get(kept, 0)), "lm_head");
    CHECK_STR(json_string_value(json_array_get(kept, 1)), "m.router");
    json_decref(json);
    output_fini(&output);
}

CASE(writes_mlx, "the quantization block of mlx_2bit is written under both names")
{
    static const char *const names[] = {"quantization", "quantization_config"};
    struct output output;

    output_init(&output, TRIT_ENCODING_MLX_2BIT);
    json_t *json = written(&output, "{}");
    for (size_t i = 0; i < 2; i++) {
        const json_t *block = json_object_get(json, names[i]);

        CHECK_EQ(json_integer_value(json_object_get(block, "bits")), 2);
        CHECK_EQ(json_integer_value(json_object_get(block, "group_size")), 128);
    }
    json_decref(json);
    output_fini(&output);
}

CASE(carries_over, "other encodings copy config.json unchanged")
{
    static const char text[] = "{\"b\":[1,null,{\"c\":\"\\u00e4\"}],\"a\":0.1}";
    struct output output;

    output_init(&output, TRIT_ENCODING_INT8);
    json_t *json = written(&output, text), *wanted = json_loads(text, 0, NULL);
    CHECK(json_equal(json, wanted));
    json_decref(json);
    json_decref(wanted);
    output_fini(&output);
}

CASE(drops_the_old_packing,
     "packing again removes quantization blocks that are no longer true")
{
    static const struct pack_target target = {.encoding = TRIT_ENCODING_INT8};
    static const struct checkpoint_options options = {.has_encoding = true};
    struct record record = {.layers = NULL};
    struct output output;

    output_init(&output, TRIT_ENCODING_INT8);
    plan_destroy(&output.plan);
    CHECK(plan_create_pack(&output.plan, &options, &target, &output.input, &record,
                           NULL) == 0);
    json_t *json = written(
        &output, "{\"a\":1,\"quantization\":{\"bits\":2},\"quantization_config\":{}}");
    CHECK_EQ(json_object_size(json), 1);
    json_decref(json);
    json = written(&output, "{\"quantization_config\":{\"quant_method\":\"bitnet\"}}");
    CHECK_EQ(json_object_size(json), 0);
    json_decref(json);
    json = written(&output, "{\"quantization_config\":{\"quant_method\":\"fp8\"}}");
    CHECK_EQ(json_object_size(json), 0);
    json_decref(json);
    /* One weight stays as it was packed. */
    for (size_t i = 0; i < output.plan.contents.table->count; i++)
        if (output.plan.items[i].action == PLAN_KEEP)
            output.plan.contents.items[i].packing = PACKING_GPTQ;
    json = written(&output, "{\"quantization_config\":{\"quant_method\":\"gptq\"}}");
    CHECK_STR(text_at(json, "quantization_config", "quant_method"), "gptq");
    json_decref(json);
    output_fini(&output);
}

CASE(writes_to_objects_only, "only a JSON object gets a quantization block")
{
    static const char *const texts[] = {"", "[]", "null", "{"};
    struct output output;

    output_init(&output, TRIT_ENCODING_HF_BITNET);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct failure failure = {.status = TRIT_OK};
        char *out = NULL;

        CHECK(config_write(&output.plan, texts[i], strlen(texts[i]), &out, &failure) < 0);
        CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
        CHECK(!out);
    }
    output_fini(&output);
}

static void fail_each(enum trit_encoding encoding)
{
    static const char text[] = "{\"hidden_size\":4,\"list\":[1,2.5,\"x\"]}";
    struct output output;
    char *wanted, *out = NULL;
    uint64_t n = 1;

    output_init(&output, encoding);
    CHECK(config_write(&output.plan, text, strlen(text), &wanted, NULL) == 0);
    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        struct failure failure = {.status = TRIT_OK};

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = config_write(&output.plan, text, strlen(text), &out, &failure);
        if (!fault_disarm()) {
            CHECK(result == 0);
            break;
        }
        CHECK(result < 0 || strcmp(out, wanted) == 0);
        if (result == 0)
            free(out);
        CHECK(n < 1000);
    }
    json_set_alloc_funcs(malloc, free);
    CHECK_STR(out, wanted);
    CHECK(n > 20);
    free(out);
    free(wanted);
    output_fini(&output);
}

CASE(memory, "if memory runs out, config.json is not written rather than incomplete")
{
    fail_each(TRIT_ENCODING_HF_BITNET);
    fail_each(TRIT_ENCODING_MLX_2BIT);
}
