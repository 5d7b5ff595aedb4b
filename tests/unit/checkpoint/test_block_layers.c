/* SPDX-License-Identifier: Apache-2.0 */
/* Layers that some blocks of a model lack. */
#include "checkpoint/block_layers.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

enum { BLOCKS_MAX = 6 };

struct model {
    struct tensor_table table;
    struct contents contents;
    struct file_findings findings;
    struct checkpoint_options options;
};

static void model_init(struct model *model)
{
    *model = (struct model){.options = {.group_size = 0}};
    table_init(&model->table);
    findings_init(&model->findings);
}

/* "%d" in the name is the number of the block. */
static void add_layer(struct model *model, const char *format, int block, uint64_t rows)
{
    char name[96];

    block_tensor(name, format, block);
    add(&model->table, name, "F32", rows, rows ? 64 : 0, 0);
}

static void judge(struct model *model, const char *model_type)
{
    const struct layer_terms terms = {.group_size = 64};
    struct model_config config = {.bits = 0};
    char text[64];

    snprintf(text, sizeof(text), "{\"model_type\": \"%s\"}", model_type);
    CHECK(model_config_read(&config, text, strlen(text), NULL) == 0);
    seal(&model->table);
    CHECK(contents_create(&model->contents, &model->options, CONTENTS_CLAIM, &terms,
                          &model->table, NULL, NULL) == 0);
    findings_add_block_layers(&model->findings, &model->options,
                              model_type[0] ? &config : NULL, &model->contents);
    model_config_fini(&config);
}

static void model_fini(struct model *model)
{
    findings_fini(&model->findings);
    contents_destroy(&model->contents);
    table_fini(&model->table);
}

static void found(const struct model *model, size_t index, enum trit_finding_kind kind,
                  enum trit_severity severity, const char *name)
{
    const struct file_finding *one = &model->findings.list[index];

    CHECK(index < model->findings.count);
    CHECK_EQ(one->finding.kind, kind);
    CHECK_EQ(one->finding.severity, severity);
    CHECK_STR(one->layer ? one->layer : one->tensor, name);
}

/* Blocks with q_proj, up_proj and a norm, except what `lost` names of block `number`. */
static void add_blocks(struct model *model, int blocks, const char *lost, int number)
{
    static const char *const layers[] = {"model.layers.%d.self_attn.q_proj.weight",
                                         "model.layers.%d.mlp.up_proj.weight"};

    for (int block = 0; block < blocks; block++) {
        for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
            if (block != number || !strstr(layers[i], lost))
                add_layer(model, layers[i], block, 32);
        if (block == number && strcmp(lost, "norm") == 0)
            continue;
        char name[64];
        snprintf(name, sizeof(name), "model.layers.%d.input_layernorm.weight", block);
        add(&model->table, name, "F32", 64, 0, 0);
    }
}

CASE(
    finds_a_lost_layer,
    "in a model whose blocks are alike, a layer or norm that one block lacks is an error")
{
    struct model model;

    model_init(&model);
    add_blocks(&model, 3, "up_proj", 2);
    judge(&model, "llama");
    CHECK_EQ(model.findings.count, 1);
    found(&model, 0, TRIT_FINDING_MISSING_LAYER, TRIT_SEVERITY_ERROR,
          "model.layers.2.mlp.up_proj.weight");
    CHECK_STR(model.findings.list[0].finding.hint,
              "2 of the 3 blocks have this layer, but this one lacks it");
    model_fini(&model);
    model_init(&model);
    add_blocks(&model, 4, "norm", 0);
    judge(&model, "bitnet");
    CHECK_EQ(model.findings.count, 1);
    found(&model, 0, TRIT_FINDING_MISSING_TENSOR, TRIT_SEVERITY_ERROR,
          "model.layers.0.input_layernorm.weight");
    model_fini(&model);
}

CASE(
    warns_of_other_models,
    "in a model of an unknown architecture it is a warning, except of the first and last block")
{
    for (int number = 0; number < 4; number++) {
        struct model model;

        model_init(&model);
        add_blocks(&model, 4, "q_proj", number);
        judge(&model, "");
        CHECK_EQ(model.findings.count, number == 1 || number == 2);
        if (model.findings.count)
            found(&model, 0, TRIT_FINDING_MISSING_LAYER, TRIT_SEVERITY_WARNING,
                  number == 1 ? "model.layers.1.self_attn.q_proj.weight"
                              : "model.layers.2.self_attn.q_proj.weight");
        model_fini(&model);
    }
}

CASE(knows_flax_and_gguf, "blocks are numbered as by Flax and llama.cpp, too")
{
    struct model model;

    model_init(&model);
    for (int block = 0; block < 5; block++) {
        add_layer(&model, "layers_%d/mlp/wi/kernel", block, 32);
        if (block != 2)
            add_layer(&model, "layers_%d/mlp/wo/kernel", block, 32);
    }
    judge(&model, "");
    CHECK_EQ(model.findings.count, 1);
    found(&model, 0, TRIT_FINDING_MISSING_LAYER, TRIT_SEVERITY_WARNING,
          "layers_2/mlp/wo/kernel");
    model_fini(&model);
    model_init(&model);
    model.table.format = "gguf";
    CHECK(table_add_pair(&model.table, "general.architecture", "llama", NULL) == 0);
    for (int block = 0; block < 3; block++) {
        add_layer(&model, "blk.%d.ffn_up.weight", block, 32);
        if (block != 1)
            add_layer(&model, "blk.%d.ffn_down.weight", block, 32);
    }
    judge(&model, "");
    CHECK_EQ(model.findings.count, 1);
    found(&model, 0, TRIT_FINDING_MISSING_LAYER, TRIT_SEVERITY_ERROR,
          "blk.1.ffn_down.weight");
    model_fini(&model);
}

CASE(
    accepts_substitutes,
    "a block with something else in the place of a layer lacks nothing, nor do two blocks of "
    "three that another has more than")
{
    struct model model;

    model_init(&model);
    for (int block = 0; block < BLOCKS_MAX; block++) {
        add_layer(&model, "model.layers.%d.self_attn.q_proj.weight", block, 32);
        if (block == 0)
            add_layer(&model, "model.layers.%d.mlp.up_proj.weight", block, 32);
        for (int expert = 0; block != 0 && expert < 2; expert++) {
            char name[64];

            snprintf(name, sizeof(name), "model.layers.%%d.mlp.experts.%d.up_proj.weight",
                     expert);
            add_layer(&model, name, block, 32);
        }
        if (block == 3)
            add_layer(&model, "model.layers.%d.mlp.adapter.weight", block, 32);
    }
    judge(&model, "qwen3_moe");
    CHECK_EQ(model.findings.count, 0);
    model_fini(&model);
}

CASE(
    says_nothing_twice,
    "nothing is added where tensors are known to be missing, or a pattern excludes the layer")
{
    const char *const exclude[] = {"model.layers.1.*"};
    struct model model;

    model_init(&model);
    findings_add(&model.findings, TRIT_FINDING_INDEX_DISAGREES, NULL, "x");
    add_blocks(&model, 3, "up_proj", 1);
    judge(&model, "llama");
    CHECK_EQ(model.findings.count, 1);
    model_fini(&model);
    model_init(&model);
    model.options.exclude = (struct name_patterns){exclude, 1};
    add_blocks(&model, 3, "up_proj", 1);
    judge(&model, "llama");
    CHECK_EQ(model.findings.count, 0);
    model_fini(&model);
}

static void add_vector(struct model *model, const char *format, int block)
{
    char name[96];

    block_tensor(name, format, block);
    add(&model->table, name, "F32", 64, 0, 0);
}

CASE(
    misses_biases_and_routers,
    "a bias or router that one block lacks is missing; one that only one block has is not in the "
    "place of a layer")
{
    struct model model;

    model_init(&model);
    add_blocks(&model, 4, "up_proj", 3);
    add_vector(&model, "model.layers.%d.mlp.up_proj.bias", 3);
    for (int block = 0; block < 4; block++) {
        if (block != 1)
            add_vector(&model, "model.layers.%d.self_attn.q_proj.bias", block);
        if (block != 2)
            add_layer(&model, "model.layers.%d.moe.router.weight", block, 4);
    }
    judge(&model, "llama");
    CHECK_EQ(model.findings.count, 3);
    found(&model, 0, TRIT_FINDING_MISSING_LAYER, TRIT_SEVERITY_ERROR,
          "model.layers.3.mlp.up_proj.weight");
    found(&model, 1, TRIT_FINDING_MISSING_TENSOR, TRIT_SEVERITY_ERROR,
          "model.layers.2.moe.router.weight");
    found(&model, 2, TRIT_FINDING_MISSING_TENSOR, TRIT_SEVERITY_ERROR,
          "model.layers.1.self_attn.q_proj.bias");
    CHECK_STR(model.findings.list[2].finding.hint,
              "3 of the 4 blocks have this bias, but this one lacks it");
    model_fini(&model);
}

CASE(leaves_other_forms,
     "a block that has the layer as a vector, or without elements, does not lack it")
{
    for (uint64_t rows = 0; rows <= 64; rows += 64) {
        struct model model;

        model_init(&model);
        add_blocks(&model, 3, "up_proj", 1);
        add(&model.table, "model.layers.1.mlp.up_proj.weight", "F32", rows, 0, 0);
        judge(&model, "llama");
        CHECK_EQ(model.findings.count, 0);
        model_fini(&model);
    }
}

CASE(survives_no_memory, "without memory the verdict is fail")
{
    struct model model;
    uint64_t steps = 0;

    model_init(&model);
    add_blocks(&model, 3, "up_proj", 1);
    judge(&model, "llama");
    for (;; steps++) {
        const struct model_config config = {.uniform = true};

        findings_fini(&model.findings);
        fault_arm(FAULT_MEMORY, steps + 1, FAULT_ONCE);
        findings_add_block_layers(&model.findings, &model.options, &config,
                                  &model.contents);
        if (!fault_disarm())
            break;
        CHECK_EQ(findings_verdict(&model.findings), TRIT_VERDICT_FAIL);
    }
    CHECK(steps >= 4);
    CHECK_EQ(model.findings.count, 1);
    model_fini(&model);
}
