/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/gguf_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

/* The part of a name between the number of the block and the parameter. */
struct gguf_part {
    const char *gguf, *transformers;
};

static const struct gguf_part llama_parts[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_sub_norm", "self_attn.attn_sub_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"ffn_sub_norm", "mlp.ffn_sub_norm"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.gate_proj"},
    {"ffn_up_exps", "mlp.experts.up_proj"},
    {"ffn_down_exps", "mlp.experts.down_proj"},
    /* Other names of transformers for the same, which only gguf_place_of uses. */
    {"attn_sub_norm", "self_attn.inner_attn_ln"},
    {"ffn_sub_norm", "mlp.ffn_layernorm"},
    {"ffn_gate_inp", "block_sparse_moe.gate"},
    {"ffn_gate_exps", "block_sparse_moe.experts.w1"},
    {"ffn_up_exps", "block_sparse_moe.experts.w3"},
    {"ffn_down_exps", "block_sparse_moe.experts.w2"},
    {NULL, NULL},
};

/* A llama with experts is Mixtral. */
static const struct gguf_part mixtral_parts[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate_inp", "block_sparse_moe.gate"},
    {"ffn_gate_exps", "block_sparse_moe.experts.w1"},
    {"ffn_up_exps", "block_sparse_moe.experts.w3"},
    {"ffn_down_exps", "block_sparse_moe.experts.w2"},
    {NULL, NULL},
};

static const struct gguf_part llama_outer[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {NULL, NULL},
};

static const struct gguf_part gpt2_parts[] = {
    {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc"},      {"ffn_down", "mlp.c_proj"},
    {NULL, NULL},
};

static const struct gguf_part gpt2_outer[] = {
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
    {NULL, NULL},
};

static const struct architecture {
    const char *name, *blocks; /* what precedes the number of a block */
    const struct gguf_part *parts, *outer;
    bool heads_interleaved; /* rows of q and k, see gguf_head_rows */
} architectures[] = {
    {"llama", "model.layers", llama_parts, llama_outer, true},
    {"qwen2", "model.layers", llama_parts, llama_outer, false},
    {"qwen3", "model.layers", llama_parts, llama_outer, false},
    {"qwen3moe", "model.layers", llama_parts, llama_outer, false},
    {"bitnet", "model.layers", llama_parts, llama_outer, false},
    {"gpt2", "transformer.h", gpt2_parts, gpt2_outer, false},
};

enum { ARCHITECTURES = sizeof(architectures) / sizeof(architectures[0]) };

bool table_is_gguf(const struct tensor_table *table)
{
    return table->format && strcmp(table->format, "gguf") == 0;
}

static const struct architecture *find_architecture(const char *name)
{
    for (size_t i = 0; name && i < ARCHITECTURES; i++)
        if (strcmp(architectures[i].name, name) == 0)
            return &architectures[i];
    return NULL;
}

static const struct architecture *architecture_of(const struct tensor_table *table)
{
    return table_is_gguf(table)
               ? find_architecture(table_pair(table, "general.architecture"))
               : NULL;
}

uint64_t gguf_model_number(const struct tensor_table *table, const char *key)
{
    const char *name =
        table_is_gguf(table) ? table_pair(table, "general.architecture") : NULL;
    char whole[256];
    uint64_t number = 0;

    if (!name || snprintf(whole, sizeof(whole), "%s.%s", name, key) >= (int)sizeof(whole))
        return 0;
    const char *value = table_pair(table, whole);
    return value && parse_u64(value, UINT64_MAX, &number) ? number : 0;
}

/* The first `bytes` of the text, if they are one of the parts. */
static const char *find_part(const struct gguf_part *parts, const char *text,
                             size_t bytes)
{
    for (; parts->gguf; parts++)
        if (strlen(parts->gguf) == bytes && memcmp(parts->gguf, text, bytes) == 0)
            return parts->transformers;
    return NULL;
}

/* Splits "blk.7.attn_q.weight" into "7", "attn_q" and ".weight", "output.weight" into none,
 * "output" and ".weight". */
struct gguf_name {
    const char *number, *part, *leaf;
    size_t number_bytes, part_bytes;
};

static struct gguf_name split(const char *name)
{
    static const char block[] = "blk.";
    struct gguf_name parts = {.part = name, .leaf = strrchr(name, '.')};

    if (strncmp(name, block, strlen(block)) == 0) {
        const char *number = name + strlen(block);
        const size_t digits = strspn(number, "0123456789");

        if (digits > 0 && number[digits] == '.') {
            parts.number = number;
            parts.number_bytes = digits;
            parts.part = number + digits + 1;
        }
    }
    if (!parts.leaf || parts.leaf < parts.part)
        parts.leaf = name + strlen(name);
    parts.part_bytes = (size_t)(parts.leaf - parts.part);
    return parts;
}

static const struct gguf_part *parts_of(const struct tensor_table *table,
                                        const struct architecture *architecture)
{
    return strcmp(architecture->name, "llama") == 0 &&
                   gguf_model_number(table, "expert_count")
               ? mixtral_parts
               : architecture->parts;
}

const char *gguf_name_of(const struct tensor_table *table, const char *name,
                         char text[FILES_NAME_BYTES_MAX + 1])
{
    const struct architecture *architecture = architecture_of(table);
    const struct gguf_name parts = split(name);
    const char *part = NULL;
    int length;

    if (architecture)
        part =
            find_part(parts.number ? parts_of(table, architecture) : architecture->outer,
                      parts.part, parts.part_bytes);
    if (!part)
        return NULL;
    if (parts.number)
        length =
            snprintf(text, FILES_NAME_BYTES_MAX + 1, "%s.%.*s.%s%s", architecture->blocks,
                     (int)parts.number_bytes, parts.number, part, parts.leaf);
    else
        length = snprintf(text, FILES_NAME_BYTES_MAX + 1, "%s%s", part, parts.leaf);
    return length <= FILES_NAME_BYTES_MAX ? text : NULL;
}

const char *gguf_name_in_output(const struct tensor_table *table,
                                const struct tensor_entry *entry,
                                char text[FILES_NAME_BYTES_MAX + 1])
{
    const struct architecture *architecture = architecture_of(table);

    return architecture && architecture->parts != gpt2_parts && entry->rank < 3
               ? gguf_name_of(table, entry->name, text)
               : NULL;
}

static bool is_part(const struct gguf_name *name, const char *part)
{
    return strlen(part) == name->part_bytes &&
           memcmp(part, name->part, name->part_bytes) == 0;
}

uint64_t gguf_head_rows(const struct tensor_table *table,
                        const struct tensor_entry *entry)
{
    const struct architecture *architecture = architecture_of(table);
    const struct gguf_name parts = split(entry->name);

    if (!architecture || !architecture->heads_interleaved || !parts.number ||
        entry->rank == 0)
        return 0;
    const bool query = is_part(&parts, "attn_q"), key = is_part(&parts, "attn_k");
    uint64_t heads = gguf_model_number(table, "attention.head_count");
    if (key && gguf_model_number(table, "attention.head_count_kv"))
        heads = gguf_model_number(table, "attention.head_count_kv");
    if ((!query && !key) || heads == 0 || entry->shape[0] % (2 * heads) != 0)
        return 0;
    return entry->shape[0] / heads;
}

/* ---- the reverse ------------------------------------------------------------------------- */

/* The number at the start of *text, followed by a dot; moves *text behind both. */
static bool take_number(const char **text, uint64_t *number)
{
    const size_t digits = strspn(*text, "0123456789");
    char copy[20];

    if (digits == 0 || digits >= sizeof(copy) || (*text)[digits] != '.' ||
        (digits > 1 && **text == '0'))
        return false;
    memcpy(copy, *text, digits);
    copy[digits] = '\0';
    if (!parse_u64(copy, UINT32_MAX, number))
        return false;
    *text += digits + 1;
    return true;
}

/* Moves *text behind `start` and a dot, if it begins so. */
static bool take_start(const char **text, const char *start)
{
    const size_t bytes = strlen(start);

    if (strncmp(*text, start, bytes) != 0 || (*text)[bytes] != '.')
        return false;
    *text += bytes + 1;
    return true;
}

/* llama.cpp's part of "self_attn.q_proj". */
static const char *find_gguf_part(const struct gguf_part *parts, const char *text,
                                  size_t bytes)
{
    for (; parts->gguf; parts++)
        if (strlen(parts->transformers) == bytes &&
            memcmp(parts->transformers, text, bytes) == 0)
            return parts->gguf;
    return NULL;
}

/* "mlp.experts.12.up_proj" is expert 12 of "mlp.experts.up_proj". */
static const char *find_expert(const struct gguf_part *parts, const char *experts,
                               const char *text, size_t bytes, struct gguf_place *place)
{
    const char *rest = text;
    char whole[64];

    if (!take_start(&rest, experts) || !take_number(&rest, &place->expert) ||
        rest >= text + bytes)
        return NULL;
    const int length = snprintf(whole, sizeof(whole), "%s.%.*s", experts,
                                (int)(text + bytes - rest), rest);
    if (length >= (int)sizeof(whole))
        return NULL;
    place->is_expert = true;
    return find_gguf_part(parts, whole, (size_t)length);
}

static bool place_in_block(const struct architecture *architecture, const char *text,
                           const char *leaf, struct gguf_place *place)
{
    if (!take_number(&text, &place->block) || leaf <= text)
        return false;
    const size_t bytes = (size_t)(leaf - text);
    const char *part = find_gguf_part(architecture->parts, text, bytes);
    if (!part)
        part = find_expert(architecture->parts, "mlp.experts", text, bytes, place);
    if (!part)
        part = find_expert(architecture->parts, "block_sparse_moe.experts", text, bytes,
                           place);
    if (!part)
        return false;
    place->in_block = true;
    place->has_heads = architecture->heads_interleaved &&
                       (strcmp(part, "attn_q") == 0 || strcmp(part, "attn_k") == 0);
    place->of_key = strcmp(part, "attn_k") == 0;
    return snprintf(place->name, sizeof(place->name), "blk.%" PRIu64 ".%s%s",
                    place->block, part, leaf) < (int)sizeof(place->name);
}

bool gguf_place_of(const char *architecture, const char *name, struct gguf_place *place)
{
    const struct architecture *known = find_architecture(architecture);
    const char *leaf = strrchr(name, '.');
    const char *text = name;

    *place = (struct gguf_place){.block = 0};
    if (!known || !leaf)
        return false;
    if (take_start(&text, known->blocks) ||
        (known->parts == gpt2_parts && take_start(&text, "h")))
        return place_in_block(known, text, leaf, place);
    const char *part = find_gguf_part(known->outer, name, (size_t)(leaf - name));
    if (!part && known->parts == gpt2_parts) { /* GPT-2's own names lack the prefix */
        char whole[64];
        const int length =
            snprintf(whole, sizeof(whole), "transformer.%.*s", (int)(leaf - name), name);

        if (length < (int)sizeof(whole))
            part = find_gguf_part(known->outer, whole, (size_t)length);
    }
    return part && snprintf(place->name, sizeof(place->name), "%s%s", part, leaf) <
                       (int)sizeof(place->name);
}

bool gguf_is_known(const struct tensor_table *table)
{
    return architecture_of(table) != NULL;
}

bool gguf_is_derived(const struct tensor_table *table, const char *name)
{
    return gguf_is_known(table) && strcmp(name, "rope_freqs.weight") == 0;
}

bool gguf_leaves_out(const char *name)
{
    static const char *const ends[] = {".rotary_emb.inv_freq", ".attn.bias",
                                       ".attn.masked_bias"};
    const size_t length = strlen(name);

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (length > strlen(ends[i]) &&
            strcmp(name + length - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}
