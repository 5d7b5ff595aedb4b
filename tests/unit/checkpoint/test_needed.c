/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that every model of an architecture has. */
#include "checkpoint/needed.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/needed_shapes.h"
#include "tests/unit/checkpoint/tables.h"

enum { BLOCKS = 4 };

struct model {
    struct tensor_table table;
    struct checkpoint_options options;
    struct file_findings findings;
};

static void model_init(struct model *model)
{
    *model = (struct model){.options = {.group_size = 0}};
    table_init(&model->table);
    findings_init(&model->findings);
}

static void model_fini(struct model *model)
{
    findings_fini(&model->findings);
    table_fini(&model->table);
}

/* `text`: config.json, NULL: there is none. */
static void judge(struct model *model, const char *text)
{
    const struct layer_terms terms = {.group_size = 64};
    struct model_config config = {.bits = 0};
    struct contents contents;

    if (text)
        CHECK(model_config_read(&config, text, strlen(text), NULL) == 0);
    seal(&model->table);
    CHECK(contents_create(&contents, &model->options, CONTENTS_CLAIM, &terms,
                          &model->table, NULL, NULL) == 0);
    findings_add_needed(&model->findings, &model->options, text ? &config : NULL,
                        &contents);
    contents_destroy(&contents);
    model_config_fini(&config);
}

/* Names that contain `lost` are left out; "%d" is the number of the block. */
static void add_named(struct model *model, const char *format, int block,
                      const char *lost)
{
    char name[96];

    block_tensor(name, format, block);
    if (!lost || !strstr(name, lost))
        add(&model->table, name, "F32", 64, strstr(name, "norm") ? 0 : 64, 0);
}

static void add_llama(struct model *model, const char *lost)
{
    static const char *const names[] = {
        "model.layers.%d.self_attn.q_proj.weight",
        "model.layers.%d.self_attn.k_proj.weight",
        "model.layers.%d.self_attn.v_proj.weight",
        "model.layers.%d.self_attn.o_proj.weight",
        "model.layers.%d.mlp.gate_proj.weight",
        "model.layers.%d.mlp.up_proj.weight",
        "model.layers.%d.mlp.down_proj.weight",
        "model.layers.%d.input_layernorm.weight",
        "model.layers.%d.post_attention_layernorm.weight",
    };

    add_named(model, "model.embed_tokens.weight", 0, lost);
    add_named(model, "model.norm.weight", 0, lost);
    for (int block = 0; block < BLOCKS; block++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            add_named(model, names[i], block, lost);
}

static const char llama[] =
    "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], "
    "\"num_hidden_layers\": 4, \"tie_word_embeddings\": true}";

CASE(finds_what_every_model_has,
     "a llama model without a layer, a norm, the embedding or the last norm lacks them, "
     "with the number of blocks")
{
    static const struct {
        const char *lost, *name;
        uint64_t count;
        bool is_layer;
    } cases[] = {
        {"gate_proj", "model.layers.0.mlp.gate_proj.weight", BLOCKS, true},
        {"v_proj", "model.layers.0.self_attn.v_proj.weight", BLOCKS, true},
        {"input_layernorm", "model.layers.0.input_layernorm.weight", BLOCKS, false},
        {"layers.2.mlp.up", "model.layers.2.mlp.up_proj.weight", 1, true},
        {"embed_tokens", "model.embed_tokens.weight", 1, false},
        {"model.norm", "model.norm.weight", 1, false},
    };
    struct model model;

    model_init(&model);
    add_llama(&model, NULL);
    judge(&model, llama);
    CHECK_EQ(model.findings.count, 0);
    model_fini(&model);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        model_init(&model);
        add_llama(&model, cases[i].lost);
        judge(&model, llama);
        CHECK_EQ(model.findings.count, 1);
        const struct file_finding *one = &model.findings.list[0];
        CHECK_EQ(one->finding.severity, TRIT_SEVERITY_ERROR);
        CHECK_STR(cases[i].is_layer ? one->layer : one->tensor, cases[i].name);
        CHECK_EQ(one->finding.count, cases[i].count);
        model_fini(&model);
    }
}

CASE(
    accuses_known_classes_only,
    "nothing is said without config.json, or where architectures names nothing, several, another "
    "class or one of another model_type, or num_hidden_layers is not given")
{
    static const char *const texts[] = {
        NULL,
        "{\"model_type\": \"llama\", \"num_hidden_layers\": 4}",
        "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForSequenceClassification\"],"
        "\"num_hidden_layers\": 4}",
        "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\", \"X\"],"
        "\"num_hidden_layers\": 4}",
        "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"]}",
        "{\"model_type\": \"deci\", \"architectures\": [\"LlamaForCausalLM\"],"
        "\"num_hidden_layers\": 4}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct model model;

        model_init(&model);
        add_llama(&model, i % 2 ? "gate_proj" : "norm");
        judge(&model, texts[i]);
        CHECK_EQ(model.findings.count, 0);
        model_fini(&model);
    }
}

CASE(
    accepts_other_forms,
    "a fused layer, one that is packed otherwise, one that is told of already, one that a pattern "
    "excludes and the embedding that is tied to a head are not missing")
{
    const char *const exclude[] = {"*.gate_proj.weight"};
    struct model model;

    model_init(&model);
    add_llama(&model, "q_proj");
    for (int block = 0; block < BLOCKS; block++)
        add_named(&model, "model.layers.%d.self_attn.qkv_proj.weight", block, NULL);
    judge(&model, llama);
    CHECK_EQ(model.findings.count, 0);
    model_fini(&model);
    model_init(&model);
    add_llama(&model, "q_proj");
    for (int block = 0; block < BLOCKS; block++)
        add_named(&model, "model.layers.%d.self_attn.q_proj.qweight", block, NULL);
    judge(&model, llama);
    CHECK_EQ(model.findings.count, 0);
    model_fini(&model);
    model_init(&model);
    findings_add(&model.findings, TRIT_FINDING_MISSING_LAYER,
                 "model.layers.0.mlp.gate_proj.weight", NULL);
    add_llama(&model, "gate_proj");
    judge(&model, llama);
    CHECK_EQ(model.findings.count, 1);
    model_fini(&model);
    model_init(&model);
    model.options.exclude = (struct name_patterns){exclude, 1};
    add_llama(&model, "gate_proj");
    judge(&model, llama);
    CHECK_EQ(model.findings.count, 0);
    model_fini(&model);
    model_init(&model);
    add_llama(&model, "embed_tokens");
    add_named(&model, "lm_head.weight", 0, NULL);
    judge(&model, llama);
    CHECK_EQ(model.findings.count, 0);
    model_fini(&model);
}

CASE(a_bias_is_not_enough, "a module of which only the bias is there lacks its weight")
{
    struct model model;

    model_init(&model);
    add_llama(&model, "q_proj");
    for (int block = 0; block < BLOCKS; block++) {
        char name[64];

        snprintf(name, sizeof(name), "model.layers.%d.self_attn.q_proj.bias", block);
        add(&model.table, name, "F32", 64, 0, 0);
    }
    judge(&model, llama);
    CHECK_EQ(model.findings.count, 1);
    CHECK_STR(model.findings.list[0].layer, "model.layers.0.self_attn.q_proj.weight");
    model_fini(&model);
}

static void add_mixtral(struct model *model, const char *lost)
{
    add_llama(model, ".mlp.");
    for (int block = 0; block < BLOCKS; block++) {
        add_named(model, "model.layers.%d.block_sparse_moe.gate.weight", block, lost);
        for (int expert = 0; expert < 3; expert++)
            for (int k = 1; k <= 3; k++) {
                char name[96];

                snprintf(name, sizeof(name),
                         "model.layers.%%d.block_sparse_moe.experts.%d.w%d.weight",
                         expert, k);
                add_named(model, name, block, lost);
            }
    }
}

CASE(counts_experts,
     "each block has the experts that config.json counts, and their router")
{
    static const struct {
        const char *lost, *name;
        size_t findings;
        uint64_t count;
    } cases[] = {
        {"experts.2.", "model.layers.0.block_sparse_moe.experts.2.w1.weight", 3, BLOCKS},
        {"3.block_sparse_moe.experts.1.w2",
         "model.layers.3.block_sparse_moe.experts.1.w2.weight", 1, 1},
        {"moe.gate", "model.layers.0.block_sparse_moe.gate.weight", 1, BLOCKS},
        {"none", NULL, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model model;

        model_init(&model);
        add_mixtral(&model, cases[i].lost);
        judge(&model, "{\"model_type\": \"mixtral\", \"num_hidden_layers\": 4, "
                      "\"architectures\": [\"MixtralForCausalLM\"], "
                      "\"num_local_experts\": 3}");
        CHECK_EQ(model.findings.count, cases[i].findings);
        for (size_t k = 0; k < model.findings.count; k++) {
            const struct file_finding *one = &model.findings.list[k];

            if (k == 0)
                CHECK_STR(one->layer ? one->layer : one->tensor, cases[i].name);
            CHECK_EQ(one->finding.count, cases[i].count);
        }
        model_fini(&model);
    }
}

static void add_gguf(struct model *model, const char *lost)
{
    static const char *const names[] = {
        "blk.%d.attn_q.weight",      "blk.%d.attn_k.weight",    "blk.%d.attn_v.weight",
        "blk.%d.attn_output.weight", "blk.%d.ffn_gate.weight",  "blk.%d.ffn_up.weight",
        "blk.%d.ffn_down.weight",    "blk.%d.attn_norm.weight", "blk.%d.ffn_norm.weight",
    };

    model->table.format = "gguf";
    add_named(model, "token_embd.weight", 0, lost);
    add_named(model, "output_norm.weight", 0, lost);
    for (int block = 0; block < BLOCKS; block++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            add_named(model, names[i], block, lost);
    CHECK(table_add_pair(&model->table, "general.architecture", "llama", NULL) == 0);
    CHECK(table_add_pair(&model->table, "llama.block_count", "4", NULL) == 0);
}

CASE(knows_gguf,
     "a GGUF model with a tokenizer lacks layers likewise, an archive does not")
{
    static const struct {
        const char *lost, *name;
    } cases[] = {{"ffn_gate", "blk.0.ffn_gate.weight"},
                 {"attn_norm", "blk.0.attn_norm.weight"},
                 {"token_embd", "token_embd.weight"},
                 {"none", NULL}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int tokenizer = 0; tokenizer < 2; tokenizer++) {
            struct model model;

            model_init(&model);
            add_gguf(&model, cases[i].lost);
            if (tokenizer)
                CHECK(table_add_pair(&model.table, "tokenizer.ggml.model", "gpt2",
                                     NULL) == 0);
            judge(&model, NULL);
            CHECK_EQ(model.findings.count, tokenizer && cases[i].name ? 1 : 0);
            if (model.findings.count)
                CHECK_STR(model.findings.list[0].layer ? model.findings.list[0].layer
                                                       : model.findings.list[0].tensor,
                          cases[i].name);
            model_fini(&model);
        }
}

CASE(
    knows_shapes,
    "a layer of a known class that has half of the rows or columns that config.json gives "
    "disagrees with it; rows that heads give, GGUF files and unknown classes are not judged")
{
    static const struct {
        const char *name;
        uint64_t rows, columns;
        const char *expected; /* NULL: it fits */
    } cases[] = {
        {"model.layers.1.mlp.up_proj.weight", 128, 64, NULL},
        {"model.layers.1.mlp.up_proj.weight", 64, 64, "[128, 64]"},
        {"model.layers.1.mlp.down_proj.weight", 64, 64, "[64, 128]"},
        {"model.layers.1.self_attn.o_proj.weight", 32, 64, "[64, *]"},
        {"model.layers.1.self_attn.q_proj.weight", 32, 64, NULL},
        {"model.layers.1.self_attn.q_proj.weight", 64, 32, "[*, 64]"},
        {"model.layers.x.mlp.up_proj.weight", 64, 64, NULL},
        {"other.layers.1.mlp.up_proj.weight", 64, 64, NULL},
        {"model.layers.1.mlp.other.weight", 64, 32, NULL},
    };
    static const char known[] =
        "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], "
        "\"hidden_size\": 64, \"intermediate_size\": 128}";
    static const char unknown[] = "{\"model_type\": \"llama\", \"hidden_size\": 64, "
                                  "\"intermediate_size\": 128}";
    const struct layer_terms terms = {.group_size = 32};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int form = 0; form < 3; form++) {
            const char *text = form == 1 ? unknown : known;
            struct model_config config;
            struct contents contents;
            struct model model;

            model_init(&model);
            add(&model.table, cases[i].name, "F32", cases[i].rows, cases[i].columns, 0);
            model.table.format = form == 2 ? "gguf" : NULL;
            seal(&model.table);
            CHECK(model_config_read(&config, text, strlen(text), NULL) == 0);
            CHECK(contents_create(&contents, &model.options, CONTENTS_CLAIM, &terms,
                                  &model.table, NULL, NULL) == 0);
            findings_add_shapes(&model.findings, &config, &contents);
            CHECK_EQ(model.findings.count, form == 0 && cases[i].expected ? 1 : 0);
            if (model.findings.count) {
                CHECK_EQ(model.findings.list[0].finding.kind,
                         TRIT_FINDING_CONFIG_DISAGREES);
                CHECK_STR(model.findings.list[0].finding.expected, cases[i].expected);
            }
            contents_destroy(&contents);
            model_config_fini(&config);
            model_fini(&model);
        }
}
