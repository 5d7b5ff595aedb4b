/* SPDX-License-Identifier: Apache-2.0 */
/* The role of a tensor by its name, rank and neighbours. */
#include <string.h>

#include "checkpoint/keras_names.h"
#include "checkpoint/naming.h"
#include "checkpoint/selection.h"
#include "tests/unit/checkpoint/tables.h"

static struct tensor_entry entry_of(const char *name, uint64_t a, uint64_t b, uint64_t c)
{
    return (struct tensor_entry){.name = name,
                                 .type = element_type_by_name("F32"),
                                 .rank = c   ? 3
                                         : b ? 2
                                             : 1,
                                 .shape = {a, b, c},
                                 .bytes = 4};
}

static void expect(enum tensor_role role, const char *name, uint64_t a, uint64_t b,
                   uint64_t c)
{
    const struct tensor_entry entry = entry_of(name, a, b, c);
    enum tensor_role found = tensor_role(NULL, &entry);

    if (found != role)
        check_failed(__FILE__, __LINE__, "%s is %s, not %s", name, role_name(found),
                     role_name(role));
}

static void all(enum tensor_role role, const char *const *names)
{
    for (; *names; names++)
        expect(role, *names, 8, 64, 0);
}

#define ALL(role, ...) all((role), (const char *const[]){__VA_ARGS__, NULL})

CASE(knows_layers,
     "a matrix is the weight of a linear layer unless another rule matches its name")
{
    ALL(ROLE_LINEAR, "w", "weight", "model.layers.0.mlp.gate_proj.weight", "fc.kernel",
        "lstm.weight_ih_l0", "attn.in_proj_weight", "classifier.weight", "score.weight",
        "x.attention.output.dense.weight", "attn.output.weight", "blocks.0.mlp.w1",
        "norm1.linear.weight", "mlp.down.weight", "lora.base_layer.weight",
        "europe.weight", "pos_proj.weight", "rotor.weight",
        "model.layers.0.experts.7.w2.weight", "decoder.bias_net.weight", "", ".", "a..b",
        "self_attention.layernorm_qkv.weight", "layernorm_mlp.fc1_weight",
        "inter_attention.layernorm_query.weight", "ln_proj.weight",
        "pos_embed_proj.weight", "rotary_linear.weight", "a.q_norm_proj.weight",
        "rotary_attn.to_q.weight", "lora_layers.0.q_proj.weight",
        "router_model.layers.0.self_attn.q_proj.weight",
        "router_model.layers.0.mlp.fc1.weight", "router_model.layers.0.mlp.fc1",
        "router_model.layers.0.mlp.fc1.base_layer.weight",
        "lora_layers.0.attn.to_q.weight", "lora_layers.0.attn.to_out.0.weight",
        "lora_layers.0.experts.3.fc.weight", "rotary_model.layers.0.attn.in_proj_weight",
        "rotary_attn.in_proj_weight", "lm_head.layers.0.attn.to_q.weight",
        "router_model.layers_0.mlp.wi.kernel", "lora_layers_0.attn.to_q.kernel",
        "params/router_model/layers_12/mlp/Dense_0/kernel",
        "decoder/layers_0/mlp/wi/kernel", "optimizer_net.fc.weight",
        "optimizer.fc.weight");
    expect(ROLE_LINEAR, "group_norm.weight", 512, 512, 0);
    expect(ROLE_LINEAR, "up.parametrizations.weight.original0", 64, 32, 0);
    expect(ROLE_NORM, "up.parametrizations.weight.original0", 64, 1, 0);
}

CASE(knows_embeddings_and_heads, "embeddings and heads are known by name")
{
    ALL(ROLE_EMBEDDING, "model.embed_tokens.weight", "transformer.wte.weight",
        "bert.embeddings.word_embeddings.weight", "tok_embeddings.weight",
        "shared.weight", "bert.embeddings.token_type_embeddings.weight",
        "gpt_neox.embed_in.weight", "token_embd.weight", "params/Embed_0/embedding",
        "model.embed_tokens.base_layer.weight", "EMBED_TOKENS.WEIGHT",
        "embedder.embedding_table", "vocab_table");
    ALL(ROLE_HEAD, "lm_head.weight", "language_model.lm_head.weight", "output.weight",
        "model.output.weight", "_orig_mod.output.weight", "embed_out.weight");
}

CASE(knows_what_stays,
     "norms, biases, tables, routers and LoRA factors are known by name")
{
    ALL(ROLE_NORM, "model.norm.weight", "a.q_norm.weight", "ln_1.weight",
        "input_layernorm.weight", "x.LayerNorm.weight", "bn1.weight", "l.weight_g",
        "a.q_proj.weight_g");
    ALL(ROLE_BIAS, "a.bias", "mlp.gate_up_proj_bias", "lstm.bias_ih_l0");
    ALL(ROLE_ROTARY, "rotary_pos_emb.rope.freqs", "a.rotary_emb.inv_freq", "rope.weight",
        "freqs_cis", "x.cos_cached");
    ALL(ROLE_POSITION, "wpe.weight", "embeddings.position_embeddings.weight",
        "embed_positions.weight", "vit.pos_embed", "relative_attention_bias.weight",
        "attn.relative_position_bias_table", "positional_embedding",
        "params/pos_embedding", "params/wpe/embedding");
    ALL(ROLE_LORA, "q.lora_A.weight", "q.lora_A.q_proj.weight",
        "lora_te1_q_proj.alpha.weight", "q.lora_B.default.weight", "lora_embedding_A",
        "x.lora_up.weight", "attn.to_q_lora.down.weight", "to_out.lora.up.weight",
        "a.hada_w1_a", "a.lokr_w2", "q_proj.ia3_l", "base_model.vera_A.default",
        "q_proj.oft_R.default.weight", "prompt_embeddings", "q_proj.miss_block.default",
        "q_proj.gralora_A.default", "q_proj.pvera_B.default", "q_proj.tinylora_P.default",
        "q_proj.lily_A.default.weight", "q_proj.osf_svd_params.default.U_low",
        "layers.0.self_attn.q_proj.lora_A.weight", "q_proj.lora_A.0.default.weight",
        "router_model.layers.0.mlp.fc1.lora_A.default.weight");
    ALL(ROLE_ROUTER, "mlp.router.mlp.0.weight", "a.router.up_proj.weight",
        "mlp.router.weight", "ffn.router.layer.weight", "mlp.shared_expert_gate.weight",
        "blk.0.ffn_gate_inp.weight", "model.layers.0.mlp.gate.weight",
        "mlp.router.layers.0.fc1.weight", "layers.1.block.router.mlp.0.layers.2.weight",
        "deepspeed_moe.gate.wg.weight", "decoder/layers_0/mlp/router/kernel",
        "router_0.mlp.dense.kernel", "mlp.router.layers_0.fc1.kernel");
    ALL(ROLE_PACKING_TABLE, "l.scales", "l.qzeros", "l.weight_scale",
        "l.weight_scale_inv", "l.weight.absmax", "l.weight.quant_state.bitsandbytes__nf4",
        "l.SCB", "scales", "l.scale_packed", "l.wscales", "l.tables", "l.tables2");
    ALL(ROLE_OTHER, "mamba.A_log", "blk.0.ssm_a", "attn.causal_mask", "position.x_ids",
        "a.q_proj.weight_mask", "optimizer.state.0.exp_avg",
        "optimizer.state.exp_avg.decoder.layers.0.mlp.fc1.weight",
        "optim.state.model.layers.0.mlp.up_proj.weight.momentum_buffer",
        "optimizer.state.fp32_param.decoder.layers.0.mlp.fc1.weight",
        "opt_state.0.mu.fc.kernel", "layers.0.mlp.up_proj.weight.exp_avg_sq");
    expect(ROLE_OTHER, "vector", 8, 0, 0);
    expect(ROLE_BIAS, "a.bias", 8, 0, 0);
    expect(ROLE_NORM, "layernorm_qkv.layer_norm_weight", 8, 0, 0);
    expect(ROLE_NORM, "self_attn.q_norm.weight", 8, 64, 0); /* of Cohere: a row a head */
}

/* Is a tensor of rank 3 experts only because nothing tells it from a convolution? */
static void check_either(const char *file, int line, bool either, const char *name,
                         uint64_t first, uint64_t second, uint64_t third)
{
    const struct tensor_entry entry = entry_of(name, first, second, third);

    if (may_be_convolution(&entry) != either ||
        (either && tensor_role(NULL, &entry) != ROLE_EXPERTS))
        check_failed(file, line, "%s: %s", name, role_name(tensor_role(NULL, &entry)));
}
#define EITHER(...) check_either(__FILE__, __LINE__, __VA_ARGS__)

CASE(
    tells_experts_from_convolutions,
    "a tensor of rank 3 is a stack of experts if its name says so or only matrices have it, "
    "or if its last axis is too long for a kernel; without a telling name, from 32 on it may "
    "be either; else it is a convolution")
{
    expect(ROLE_EXPERTS, "mlp.experts.gate_up_proj", 4, 8, 16);
    expect(ROLE_EXPERTS, "blk.0.ffn_up_exps.weight", 4, 8, 16);
    expect(ROLE_EXPERTS, "block_sparse_moe.input_linear.weight", 4, 8, 16);
    expect(ROLE_EXPERTS, "model.layers.0.mlp.input_linear.weight", 4, 8, 16); /* JetMoE */
    expect(ROLE_EXPERTS, "ffn.fused.weight", 4, 8, 256);
    expect(ROLE_EXPERTS, "ffn.fused.weight", 1, 8, 256);
    expect(ROLE_EXPERTS, "blk.0.attn_k.weight", 1, 8, 16);
    expect(ROLE_EXPERTS, "layers.0.q_proj.weight", 2, 8, 16);
    expect(ROLE_EXPERTS, "rotary_model.layers.0.mlp.experts.gate_up_proj", 4, 8, 16);
    expect(ROLE_EXPERTS, "rotary_model.experts.w1.weight", 4, 8, 16);
    expect(ROLE_EXPERTS, "rotary_attn.q_proj.weight", 4, 8, 16);
    expect(ROLE_ROTARY, "rotary_model.tables.weight", 1, 8, 16);
    EITHER(true, "ffn.fused.weight", 8, 64, 32);
    EITHER(true, "attn.q_einsum.w", 8, 2048, 128); /* of Gemma, by Flax */
    EITHER(true, "rg_lru.recurrent_gate_weight", 10, 256, 256);
    EITHER(true, "feed_forward.w1", 8, 64, 128);
    EITHER(false, "ffn.fused.weight", 8, 64, 256);
    EITHER(false, "mlp.experts.w1", 8, 64, 64);
    EITHER(false, "layers.0.q_proj.weight", 8, 64, 64);
    EITHER(false, "decoder.ups.0.weight_v", 512, 256, 20); /* of HiFi-GAN */
    EITHER(false, "ffn.fused.weight", 64, 1, 64);
    EITHER(false, "features.0.weight", 64, 32, 31);
    expect(ROLE_CONVOLUTION, "vision.conv_proj.weight", 4, 8, 16);
    expect(ROLE_CONVOLUTION, "conv1.weight", 4, 8, 16);
    expect(ROLE_CONVOLUTION, "pos_conv.weight", 1024, 64, 128); /* of wav2vec2 */
    expect(ROLE_CONVOLUTION, "stft.weight", 258, 1, 256);
    expect(ROLE_CONVOLUTION, "latents", 4, 8, 256);
    expect(ROLE_CONVOLUTION, "blk.0.ssm_conv1d.weight", 64, 4, 0); /* of GGUF */
    expect(ROLE_CONVOLUTION, "blk.0.shortconv.conv.weight", 64, 3, 0);
    expect(ROLE_LINEAR, "blk.0.shortconv.out_proj.weight", 64, 64, 0);
    expect(ROLE_OTHER, "embeddings.cls_token", 1, 1, 16);
    expect(ROLE_OTHER, "qformer.query_tokens", 1, 8, 16);
    expect(ROLE_POSITION, "embeddings.pos_embed", 1, 8, 16);
    expect(ROLE_ROUTER, "mlp.experts.router.weight", 4, 8, 16);
}

CASE(
    asks_neighbours_about_a_gate,
    "a gate next to experts, or with fewer rows than columns, is a router, but not one of "
    "attention, or beside a matrix of its shape")
{
    struct tensor_table table;

    table_init(&table);
    add(&table, "a.gate.weight", "F32", 64, 8, 0);
    add(&table, "b.gate.weight", "F32", 64, 8, 0);
    add(&table, "b.experts.0.gate.weight", "F32", 8, 64, 0);
    add(&table, "b.expertsoup", "F32", 8, 64, 0);
    add(&table, "gate.weight", "F32", 8, 64, 0);
    add(&table, "c.gate.weight", "F32", 8, 64, 0);
    add(&table, "c.up.weight", "F32", 8, 64, 0);
    add(&table, "d.attn.gate.weight", "F32", 8, 64, 0);
    add(&table, "d.mlp.gate.weight", "F32", 8, 64, 0);
    seal(&table);
    CHECK_EQ(tensor_role(&table, table_find(&table, "c.gate.weight")), ROLE_LINEAR);
    CHECK_EQ(tensor_role(&table, table_find(&table, "d.attn.gate.weight")), ROLE_LINEAR);
    CHECK_EQ(tensor_role(&table, table_find(&table, "d.mlp.gate.weight")), ROLE_ROUTER);
    CHECK_EQ(tensor_role(&table, table_find(&table, "a.gate.weight")), ROLE_LINEAR);
    CHECK_EQ(tensor_role(&table, table_find(&table, "b.gate.weight")), ROLE_ROUTER);
    CHECK_EQ(tensor_role(&table, table_find(&table, "b.experts.0.gate.weight")),
             ROLE_LINEAR);
    CHECK_EQ(tensor_role(&table, table_find(&table, "gate.weight")), ROLE_ROUTER);
    table_fini(&table);
}

CASE(takes_the_longest_names, "a name of the greatest allowed length has a role")
{
    char name[FILES_NAME_BYTES_MAX + 1];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    expect(ROLE_LINEAR, name, 8, 64, 0);
    memset(name, '.', sizeof(name) - 1);
    expect(ROLE_LINEAR, name, 8, 64, 0);
    memcpy(name + sizeof(name) - 13, ".gate.weight", 13);
    expect(ROLE_ROUTER, name, 8, 64, 0);
}

CASE(selects_by_pattern, "include selects and excludes the rest; exclude wins")
{
    const char *const include[] = {"a.*", "c.*"}, *const exclude[] = {"*.bias",
                                                                      "c.?eight"};
    struct checkpoint_options options = {.group_size = 0};

    CHECK_EQ(selection_of(&options, "a.bias"), SELECTION_DEFAULT);
    options.exclude = (struct name_patterns){exclude, 2};
    CHECK_EQ(selection_of(&options, "a.bias"), SELECTION_EXCLUDED);
    CHECK_EQ(selection_of(&options, "b.weight"), SELECTION_DEFAULT);
    options.include = (struct name_patterns){include, 2};
    CHECK_EQ(selection_of(&options, "a.weight"), SELECTION_INCLUDED);
    CHECK_EQ(selection_of(&options, "a.bias"), SELECTION_EXCLUDED);
    CHECK_EQ(selection_of(&options, "b.weight"), SELECTION_EXCLUDED);
    CHECK_EQ(selection_of(&options, "c.weight"), SELECTION_EXCLUDED);
}

CASE(names_a_pattern_without_a_match, "a pattern that matches no tensor is reported")
{
    const char *const include[] = {"a.*"}, *const exclude[] = {"*.bias", "none"};
    struct checkpoint_options options = {.include = {include, 1},
                                         .exclude = {exclude, 1}};
    struct tensor_table one, two;
    const struct tensor_table *tables[] = {&one, NULL};

    table_init(&one);
    table_init(&two);
    add(&one, "a.weight", "F32", 2, 2, 0);
    add(&two, "a.bias", "F32", 2, 0, 0);
    CHECK_STR(selection_unused(&options, tables, 2), "*.bias");
    tables[1] = &two;
    CHECK(!selection_unused(&options, tables, 2));
    options.exclude.count = 2;
    CHECK_STR(selection_unused(&options, tables, 2), "none");
    table_fini(&one);
    table_fini(&two);
}

CASE(knows_keras, "variables of Keras are known by the class of their layer")
{
    static const struct {
        const char *name;
        uint32_t rank;
        enum tensor_role role;
    } cases[] = {
        {"layers/dense_1/vars/0", 2, ROLE_LINEAR},
        {"layers/functional/layers/dense/vars/0", 2, ROLE_LINEAR},
        {"layers/dense/vars/1", 1, ROLE_OTHER},
        {"layers/embedding/vars/0", 2, ROLE_EMBEDDING},
        {"layers/position_embedding/vars/0", 2, ROLE_POSITION},
        {"layers/layer_normalization/vars/0", 1, ROLE_NORM},
        {"layers/conv2d/vars/0", 4, ROLE_OTHER},
        {"optimizer/vars/3", 2, ROLE_OTHER},
        {"vars/0", 2, ROLE_LINEAR},
        {"/0", 2, ROLE_LINEAR},
    };
    struct tensor_table table;

    table_init(&table);
    table.format = "keras";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct tensor_entry entry = {.name = cases[i].name,
                                           .type = element_type_by_name("F32"),
                                           .rank = cases[i].rank,
                                           .shape = {8, 8, 8, 8}};

        CHECK_EQ(tensor_role(&table, &entry), cases[i].role);
        CHECK_EQ(keras_kind(&entry) == KERAS_KERNEL, cases[i].role == ROLE_LINEAR);
    }
    table_fini(&table);
}
