/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_names.h"

#include <stdio.h>

#include "checkpoint/form.h"
#include "checkpoint/match.h"
#include "tests/lib/check.h"

/* An empty table of a GGUF file of the architecture. */
static void table_of(struct tensor_table *table, const char *architecture)
{
    table_init(table);
    table->format = "gguf";
    CHECK(table_add_pair(table, "general.architecture", architecture, NULL) == 0);
}

/* NULL: the name is not mapped. */
static void mapped(const char *architecture, const char *name, const char *expected)
{
    char text[FILES_NAME_BYTES_MAX + 1];
    struct tensor_table table;

    table_of(&table, architecture);
    const char *found = gguf_name_of(&table, name, text);
    if (!found || !expected)
        CHECK(found == expected);
    else
        CHECK_STR(found, expected);
    table_fini(&table);
}

CASE(maps_names, "llama.cpp's names become those of transformers")
{
    static const char *const like_llama[] = {"llama", "qwen2", "qwen3", "qwen3moe",
                                             "bitnet"};

    for (size_t i = 0; i < sizeof(like_llama) / sizeof(like_llama[0]); i++) {
        mapped(like_llama[i], "token_embd.weight", "model.embed_tokens.weight");
        mapped(like_llama[i], "output.weight", "lm_head.weight");
        mapped(like_llama[i], "output_norm.weight", "model.norm.weight");
        mapped(like_llama[i], "blk.0.attn_q.weight",
               "model.layers.0.self_attn.q_proj.weight");
        mapped(like_llama[i], "blk.31.attn_k.bias",
               "model.layers.31.self_attn.k_proj.bias");
        mapped(like_llama[i], "blk.7.ffn_norm.weight",
               "model.layers.7.post_attention_layernorm.weight");
        mapped(like_llama[i], "blk.7.ffn_down.weight",
               "model.layers.7.mlp.down_proj.weight");
    }
    mapped("qwen3", "blk.0.attn_q_norm.weight", "model.layers.0.self_attn.q_norm.weight");
    mapped("bitnet", "blk.0.ffn_sub_norm.weight",
           "model.layers.0.mlp.ffn_sub_norm.weight");
    mapped("qwen3moe", "blk.0.ffn_gate_inp.weight", "model.layers.0.mlp.gate.weight");
    mapped("qwen3moe", "blk.0.ffn_up_exps.weight",
           "model.layers.0.mlp.experts.up_proj.weight");
    mapped("gpt2", "blk.3.attn_qkv.bias", "transformer.h.3.attn.c_attn.bias");
    mapped("gpt2", "position_embd.weight", "transformer.wpe.weight");
    mapped("gpt2", "blk.3.ffn_down.weight", "transformer.h.3.mlp.c_proj.weight");
}

CASE(maps_mixtral, "a llama with experts has Mixtral's names")
{
    char text[FILES_NAME_BYTES_MAX + 1];
    struct tensor_table table;
    struct gguf_place place;

    table_of(&table, "llama");
    CHECK(table_add_pair(&table, "llama.expert_count", "8", NULL) == 0);
    CHECK_STR(gguf_name_of(&table, "blk.3.ffn_gate_inp.weight", text),
              "model.layers.3.block_sparse_moe.gate.weight");
    CHECK_STR(gguf_name_of(&table, "blk.3.ffn_up_exps.weight", text),
              "model.layers.3.block_sparse_moe.experts.w3.weight");
    table_fini(&table);
    CHECK(gguf_place_of("llama", "model.layers.3.block_sparse_moe.experts.7.w2.weight",
                        &place));
    CHECK_STR(place.name, "blk.3.ffn_down_exps.weight");
    CHECK(place.is_expert && place.expert == 7 && place.block == 3);
    CHECK(gguf_place_of("llama", "model.layers.3.block_sparse_moe.gate.weight", &place));
    CHECK_STR(place.name, "blk.3.ffn_gate_inp.weight");
    CHECK(!place.is_expert);
}

CASE(leaves_other_names, "unknown names, architectures and other files keep their names")
{
    char text[FILES_NAME_BYTES_MAX + 1];
    struct tensor_table table;

    mapped("falcon", "blk.0.attn_q.weight", NULL);
    mapped("llama", "blk.0.strange.weight", NULL);
    mapped("llama", "blk.x.attn_q.weight", NULL);
    mapped("llama", "blk.0", NULL);
    mapped("llama", "blk.", NULL);
    mapped("llama", "attn_q.weight", NULL);
    mapped("llama", "", NULL);
    table_of(&table, "llama");
    table.format = "safetensors";
    CHECK(!gguf_name_of(&table, "output.weight", text));
    table_fini(&table);
}

/* The rows of a head of a tensor [rows, 4] in a llama of 4 heads and 2 key heads. */
static uint64_t head_rows(const char *architecture, const char *name, uint64_t rows)
{
    const struct tensor_entry entry = {
        .name = name, .type = element_type_of(TRIT_F32), .rank = 2, .shape = {rows, 4}};
    char key[64];
    struct tensor_table table;

    table_of(&table, architecture);
    snprintf(key, sizeof(key), "%s.attention.head_count", architecture);
    CHECK(table_add_pair(&table, key, "4", NULL) == 0);
    snprintf(key, sizeof(key), "%s.attention.head_count_kv", architecture);
    CHECK(table_add_pair(&table, key, "2", NULL) == 0);
    const uint64_t found = gguf_head_rows(&table, &entry);
    table_fini(&table);
    return found;
}

CASE(only_llama_interleaves, "only llama's q and k have the rows of heads interleaved")
{
    CHECK_EQ(head_rows("llama", "blk.0.attn_q.weight", 32), 8);
    CHECK_EQ(head_rows("llama", "blk.0.attn_k.weight", 32), 16);
    CHECK_EQ(head_rows("llama", "blk.0.attn_v.weight", 32), 0);
    CHECK_EQ(head_rows("llama", "blk.0.attn_q_norm.weight", 32), 0);
    CHECK_EQ(head_rows("llama", "attn_q.weight", 32), 0);
    CHECK_EQ(head_rows("llama", "blk.0.attn_q.weight", 34), 0); /* not whole pairs */
    CHECK_EQ(head_rows("qwen3", "blk.0.attn_q.weight", 32), 0);
    CHECK_EQ(head_rows("bitnet", "blk.0.attn_q.weight", 32), 0);
}

CASE(orders_are_inverse, "the two orders of a head's rows are each other's inverse")
{
    static const uint64_t interleaved[] = {0, 4, 1, 5, 2, 6, 3, 7};
    const struct head_order as_stored = {.rows = 0};
    const struct head_order there = {8, true}, back = {8, false};

    for (uint64_t row = 0; row < 8; row++) {
        CHECK_EQ(head_order_row(&there, row), interleaved[row]);
        CHECK_EQ(head_order_row(&there, row + 16), interleaved[row] + 16);
        CHECK_EQ(head_order_row(&back, head_order_row(&there, row)), row);
        CHECK_EQ(head_order_row(&as_stored, row), row);
    }
}
