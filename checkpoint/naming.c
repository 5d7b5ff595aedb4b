/* SPDX-License-Identifier: Apache-2.0 */
/* Roles by name. A name is a path of parts with dots between them; the last part is
 * the parameter ("weight"), the one before it the module ("q_proj"). */
#include "checkpoint/naming.h"

#include <string.h>
#include <strings.h>

#include "checkpoint/keras_names.h"
#include "checkpoint/name_parts.h"
#include "checkpoint/naming_optimizer.h"

/* Parameters of a module that are called otherwise than its weight. */
static const char *const matrix_leaves[] = {
    "*_weight", "*_weights", "w[0-9]*", "w[qkvoi]", "w[io]_[0-9]*", "w_*",
    "*_w",      "*_w[0-9]",  "*_proj",  "*_kernel", "fc[0-9]*",     NULL,
};

static const char *const bias_leaves[] = {"bias", "*_bias", "bias_*", NULL};

/* And what other adapters of PEFT add to a model. */
static const char *const lora_parts[] = {
    "lora_*",
    "hada_w[0-9]*",
    "lokr_w[0-9]*",
    "ia3_*",
    "vera_*",
    "oft_*",
    "boft_*",
    "hra_u",
    "bone_*",
    "randlora_*",
    "vblora_*",
    "c3a_kernel",
    "delora_*",
    "prompt_embeddings",
    "trainable_tokens_*",
    "miss_block",
    "gralora_[ab]",
    "osf_svd_params",
    "pvera_[ab]",
    "lily_[ab]",
    "lily_router",
    "tinylora_[abp]",
    NULL,
};
/* diffusers' first ones: to_q_lora.down.weight */
static const char *const lora_modules[] = {"lora", "*_lora", NULL};
static const char *const lora_factors[] = {"down", "up", NULL};

static const char *const rotary_parts[] = {"*rotary*", "rope", "rope_*", NULL};
static const char *const rotary_leaves[] = {
    "inv_freq", "cos_cached", "sin_cached", "freqs_cis", "freqs_cos", "freqs_sin", NULL,
};

static const char *const position_modules[] = {
    "wpe",
    "pos_emb*",
    "*position_emb*",
    "*positional_emb*",
    "*embed_pos*",
    "*position_table",
    "rel_pos*",
    "relative_attention_bias",
    "rel_embeddings",
    "relative_position*",
    "pos_bias*",
    NULL,
};

static const char *const norm_modules[] = {
    "bn",           "bn[0-9]*",     "norm",         "norm[0-9]*",   "*_norm",
    "*_norm[0-9]*", "*layernorm*",  "*layer_norm*", "*rmsnorm*",    "*rms_norm*",
    "*groupnorm*",  "*group_norm*", "*batchnorm*",  "*batch_norm*", "ln",
    "ln[0-9]*",     "ln_*",         "*_ln",         NULL,
};
/* NVIDIA's Transformer Engine keeps the norm and the layer behind it in one module: the
 * matrix is layernorm_qkv.weight, the norm layernorm_qkv.layer_norm_weight. */
static const char *const norm_and_layer_modules[] = {
    "layernorm_qkv", "layernorm_query", "layernorm_linear", "layernorm_mlp", NULL,
};

static const char *const router_parts[] = {"*router*", NULL};
static const char *const router_modules[] = {
    "shared_expert_gate", "shared_experts_gate", "moe_gate", "expert_gate",
    "ffn_gate_inp",       "ffn_gate_inp_*",      NULL,
};

static const char *const expert_parts[] = {
    "*expert*",     "*moe*",         "*_exps", "switch_mlp",
    "input_linear", "output_linear", NULL, /* JetMoE: mlp.input_linear.weight */
};

/* Modules of convolutions, and of patches of images. */
static const char *const convolution_parts[] = {"*conv*", "*patch*", NULL};

/* The last axis of a tensor of rank 3 or more is the kernel of a convolution, or the inputs of a
 * layer. By the models of transformers, timm and audio codecs: without a telling name, kernels
 * have at most 31 positions, and layers at least 32 inputs. No kernel has more than 255. */
enum { KERNEL_UNNAMED_MAX = 31, KERNEL_POSITIONS_MAX = 255 };

static const char *const embedding_modules[] = {
    "*embed_tokens*", "wte",        "*word_emb*",  "tok_embeddings",
    "token_embd",     "*embedding", "*embeddings", "embed_in",
    "embed",          "emb",        "shared",      NULL,
};

/* Parameters that are embeddings, although tables are none by other_leaves. */
static const char *const embedding_leaves[] = {"*embed*_table", "*vocab*_table",
                                               "lookup_table", NULL};

static const char *const head_parts[] = {"lm_head", NULL};
static const char *const head_modules[] = {"embed_out", NULL};
/* Convolutions along time that GGUF stores as [channels, kernel]. */
static const char *const short_convolutions[] = {"ssm_conv1d", "ssm_conv1d_[qkv]", NULL};

/* Names that may precede "output" in llama's own files. */
static const char *const output_prefixes[] = {
    "model", "module", "_orig_mod", "transformer", NULL,
};

/* Modules whose weights are matrices in every model, or stacks of them: no vectors, and no
 * kernels of convolutions. By transformers, llama's own files, Megatron and llama.cpp. */
static const char *const linear_modules[] = {
    "[qkvo]_proj",     "qkv_proj",      "gate_proj",
    "up_proj",         "gate_up_proj",  "down_proj",
    "embed_tokens",    "lm_head",       "wte",
    "c_attn",          "c_fc",          "w[qkvo]",
    "query_key_value", "dense_h_to_4h", "dense_4h_to_h",
    "linear_qkv",      "linear_fc[12]", "tok_embeddings",
    "word_embeddings", "token_embd",    "attn_[qkv]",
    "attn_qkv",        "attn_output",   "ffn_gate",
    "ffn_up",          "ffn_down",      NULL,
};
/* Matrices of a product, whatever else the name says: ln_proj, position_embedding_proj. */
static const char *const product_modules[] = {"*_proj", "*_linear", "*_dense", "*_fc",
                                              NULL};
/* Parameters that are: in_proj_weight of attention. */
static const char *const product_leaves[] = {"*_proj_weight", NULL};
/* Modules whose weights are never vectors. */
static const char *const matrix_modules[] = {"*_proj", NULL};

/* Parameters that are not matrices of a product. */
static const char *const other_leaves[] = {
    "a_log",         "ssm_a",    "time_*",  "*mask",        "*_ids",
    "*_index",       "*_table",  "*_token", "query_tokens", "register_tokens",
    "prompt_tokens", "*_window", "window",  "mel_filters",  NULL,
};

/* ---- the rules --------------------------------------------------------------- */

/* The part "gate": PREFIX.gate.weight, or PREFIX.gate.wg.weight; NULL: there is none. */
static const char *gate_part(const struct name *name)
{
    const char *part = name->module;

    if (strcasecmp(part, "wg") == 0)
        part = name_part_before(name, part);
    return strcasecmp(part, "gate") == 0 ? part : NULL;
}

/* Has a neighbour of the gate, `bytes` of whose name precede its own, a matrix of this shape? */
static bool has_twin(const struct tensor_table *table, const struct tensor_entry *entry,
                     size_t bytes)
{
    for (size_t i = table_first_of(table, entry->name, bytes); i < table->count; i++) {
        const struct tensor_entry *beside = &table->entries[table->by_name[i]];
        const char *leaf = strchr(beside->name + strnlen(beside->name, bytes), '.');

        if (strncmp(beside->name, entry->name, bytes) != 0)
            return false;
        if (leaf && strcmp(leaf, ".weight") == 0 &&
            strcmp(beside->name, entry->name) != 0 && beside->rank == 2 &&
            beside->shape[0] == entry->shape[0] && beside->shape[1] == entry->shape[1])
            return true;
    }
    return false;
}

/* A gate is a router if the table has PREFIX.experts too. If there are no experts, it is
 * a router if it has fewer rows than columns, because a router maps long vectors to few
 * experts. The gate of a single expert is not a router, nor is that of attention, nor one
 * beside a matrix of its shape, which multiply each other's outputs. */
static bool gate_is_router(const struct tensor_table *table,
                           const struct tensor_entry *entry, const struct name *name)
{
    static const char *const others[] = {"*expert*", "*attn*", "*attention*", NULL};
    char prefix[FILES_NAME_BYTES_MAX + sizeof("experts")];
    const char *gate = gate_part(name);

    if (!gate)
        return false;
    size_t length = (size_t)(gate - name->parts);
    memcpy(prefix, entry->name, length);
    memcpy(prefix + length, "experts", sizeof("experts"));
    if (table && table_has_prefix(table, prefix, strlen(prefix)))
        return true;
    return !name_has_part(name, others) && entry->rank == 2 &&
           entry->shape[0] < entry->shape[1] &&
           !(table && has_twin(table, entry, length));
}

static bool is_output(const struct name *name)
{
    if (strcasecmp(name->module, "output") != 0)
        return false;
    for (const char *part = name->parts; part != name->module; part += strlen(part) + 1)
        if (!part_matches(part, output_prefixes))
            return false;
    return true;
}

/* Is the module, one that it is a part of, or the parameter itself called so? Layers of a model
 * whose first part is called so (router_model.q_proj, router_model.layers.0.mlp.fc1) are layers. */
static bool is_called(const struct name *name, const char *const *patterns)
{
    const char *const around = name_part_before(name, name->module);

    if (part_matches(name->leaf, patterns) || part_matches(name->module, patterns) ||
        part_matches(around, patterns))
        return true;
    return !part_matches(name->module, linear_modules) &&
           name_has_near_part(name, patterns);
}

static bool is_lora(const struct name *name)
{
    return is_called(name, lora_parts) ||
           (part_matches(name->module, lora_factors) &&
            part_matches(name_part_before(name, name->module), lora_modules));
}

/* Matrices one after the other, or one alone, by the name of a tensor of rank 3, or a weight's
 * size. */
static bool is_stack(const struct tensor_entry *entry, const struct name *name)
{
    return name_has_part(name, expert_parts) ||
           (name_is_weight(name) &&
            (part_matches(name->module, linear_modules) ||
             (entry->shape[1] > 1 && entry->shape[2] > KERNEL_POSITIONS_MAX)));
}

/* A weight of rank 3 whose name does not tell, and whose last axis is too long for a kernel that
 * has no name. */
static bool may_be_stack(const struct tensor_entry *entry, const struct name *name)
{
    return entry->rank == 3 && element_type_is_float(entry->type) &&
           entry->shape[1] > 1 && entry->shape[2] > KERNEL_UNNAMED_MAX &&
           !name_has_part(name, convolution_parts) &&
           (name_is_weight(name) || part_matches(name->leaf, matrix_leaves));
}

static bool is_short_convolution(const struct tensor_entry *entry,
                                 const struct name *name)
{
    return entry->shape[1] <= KERNEL_POSITIONS_MAX &&
           (part_matches(name->module, short_convolutions) ||
            (strcasecmp(name->module, "conv") == 0 &&
             strcasecmp(name_part_before(name, name->module), "shortconv") == 0));
}

/* The role of a tensor of rank 2 or more that is neither a table nor a vector by its
 * name. */
static enum tensor_role weight_role(const struct tensor_table *table,
                                    const struct tensor_entry *entry,
                                    const struct name *name)
{
    if (is_called(name, router_parts) || part_matches(name->module, router_modules) ||
        gate_is_router(table, entry, name))
        return ROLE_ROUTER;
    if (entry->rank > 4)
        return ROLE_OTHER;
    if (entry->rank > 2)
        return entry->rank == 3 && (is_stack(entry, name) || may_be_stack(entry, name))
                   ? ROLE_EXPERTS
                   : ROLE_CONVOLUTION;
    if (is_short_convolution(entry, name))
        return ROLE_CONVOLUTION;
    if (name_has_near_part(name, head_parts) ||
        part_matches(name->module, head_modules) || is_output(name))
        return ROLE_HEAD;
    return part_matches(name->module, embedding_modules) ? ROLE_EMBEDDING : ROLE_LINEAR;
}

/* Matrices and stacks of them in a module of another name, rotary_attn.to_q.weight, are layers. */
static bool is_rotary(const struct tensor_entry *entry, const struct name *name)
{
    return part_matches(name->leaf, rotary_leaves) ||
           part_matches(name->module, rotary_parts) ||
           (name_has_near_part(name, rotary_parts) &&
            !(entry->rank == 2 &&
              (name_is_weight(name) || part_matches(name->leaf, product_leaves))) &&
            !(entry->rank == 3 && is_stack(entry, name)));
}

/* Of a weight norm, for each row or column. Other parametrizations have matrices. */
static bool is_magnitude(const struct tensor_entry *entry, const struct name *name)
{
    return strcasecmp(name->leaf, "weight_g") == 0 ||
           (strcasecmp(name->leaf, "original0") == 0 &&
            (entry->rank != 2 || entry->shape[0] <= 1 || entry->shape[1] <= 1));
}

/* Norms of rank 2 have a row for each head (Cohere), or an image's few pixels. */
static bool is_large(const struct tensor_entry *entry)
{
    enum { NORM_AXIS_MAX = 256 };

    return entry->shape[0] > NORM_AXIS_MAX && entry->shape[1] > NORM_AXIS_MAX;
}

static enum tensor_role keras_role(enum keras_kind kind)
{
    switch (kind) {
    case KERAS_KERNEL:
        return ROLE_LINEAR;
    case KERAS_EMBEDDING:
        return ROLE_EMBEDDING;
    case KERAS_POSITIONS:
        return ROLE_POSITION;
    case KERAS_NORM:
        return ROLE_NORM;
    case KERAS_OTHER:
        break;
    }
    return ROLE_OTHER;
}

enum tensor_role tensor_role(const struct tensor_table *table,
                             const struct tensor_entry *entry)
{
    struct name name;

    if (table && table_is_keras(table))
        return keras_role(keras_kind(entry));
    name_split(&name, entry->name);
    if (name_is_optimizer(&name))
        return ROLE_OTHER;
    if (is_lora(&name))
        return ROLE_LORA;
    if (name_is_packing_table(entry->name))
        return entry->rank < 2 ? ROLE_OTHER : ROLE_PACKING_TABLE;
    if (part_matches(name.leaf, bias_leaves))
        return ROLE_BIAS;
    if (entry->rank == 2 && part_matches(name.module, product_modules) &&
        !is_magnitude(entry, &name) && !part_matches(name.leaf, other_leaves))
        return weight_role(table, entry, &name);
    if (is_rotary(entry, &name))
        return ROLE_ROTARY;
    if (part_matches(name_embedder(&name), position_modules))
        return ROLE_POSITION;
    if ((part_matches(name.module, norm_modules) || is_magnitude(entry, &name)) &&
        !(entry->rank == 2 &&
          (part_matches(name.module, norm_and_layer_modules) || is_large(entry))))
        return ROLE_NORM;
    if (entry->rank == 2 && part_matches(name.leaf, embedding_leaves))
        return ROLE_EMBEDDING;
    if (entry->rank < 2 || part_matches(name.leaf, other_leaves))
        return ROLE_OTHER;
    return weight_role(table, entry, &name);
}

bool may_be_convolution(const struct tensor_entry *entry)
{
    struct name name;

    name_split(&name, entry->name);
    return entry->rank == 3 && may_be_stack(entry, &name) && !is_stack(entry, &name);
}

bool role_is_layer(enum tensor_role role)
{
    return role == ROLE_LINEAR || role == ROLE_EMBEDDING || role == ROLE_HEAD;
}

/* Integers that models keep for other ends than weights, besides `other_leaves`. */
static const char *const integer_leaves[] = {
    "num_batches_tracked",
    "*_ids",
    "*_indices",
    "indices",
    "index",
    "*_idx",
    "*perm",
    "*_perms",
    "*_lengths",
    "*_sizes",
    "*_shape*",
    "*_count*",
    "*version*",
    "*_step",
    "step",
    "*_model",
    NULL,
};

/* Weights that were flattened, as FSDP shards them, are a vector. Other vectors have a value for
 * each feature, or for each token of a vocabulary. */
enum { VECTOR_VALUES_MAX = 1 << 18 };

bool may_hold_weights(const struct tensor_entry *entry, enum tensor_role role)
{
    struct name name;

    if (entry->bytes == 0)
        return false;
    name_split(&name, entry->name);
    if ((strcmp(entry->type->name, "BOOL") == 0 && !name_is_weight(&name)) ||
        name_is_optimizer(&name))
        return false;
    if (part_matches(name.leaf, integer_leaves) || part_matches(name.leaf, other_leaves))
        return false;
    if (element_type_is_float(entry->type))
        return role == ROLE_OTHER && entry->rank == 1 &&
               entry->shape[0] > VECTOR_VALUES_MAX && !name_is_packing_table(entry->name);
    switch (role) {
    case ROLE_LINEAR:
    case ROLE_EMBEDDING:
    case ROLE_HEAD:
    case ROLE_EXPERTS:
    case ROLE_CONVOLUTION:
        return true;
    case ROLE_PACKING_TABLE: /* of a weight that is not there, or not known */
    case ROLE_OTHER:
        return entry->rank > 4 || (role == ROLE_PACKING_TABLE && entry->rank > 1) ||
               (entry->rank == 1 && name.module != name.leaf);
    case ROLE_NORM:
    case ROLE_BIAS:
    case ROLE_ROUTER:
    case ROLE_ROTARY:
    case ROLE_POSITION:
    case ROLE_LORA:
        break;
    }
    return false;
}

/* Layers or experts of several layers in one tensor, by its last axis, which is no kernel. */
static bool is_stack_of_stacks(const struct tensor_entry *entry, const struct name *name)
{
    if (entry->rank <= 3 || !element_type_is_float(entry->type))
        return false;
    const uint64_t last = entry->shape[entry->rank - 1];
    const uint64_t before = entry->shape[entry->rank - 2];

    if (name_is_weight(name) && part_matches(name->module, linear_modules))
        return true;
    if (!name_is_weight(name) && !name_has_part(name, expert_parts))
        return false;
    return (last > KERNEL_POSITIONS_MAX && before > 1) ||
           (last > KERNEL_UNNAMED_MAX && before > KERNEL_UNNAMED_MAX &&
            !name_has_part(name, convolution_parts));
}

/* DeepSpeed's ZeRO-3 leaves an empty vector in the place of each weight. Norms are vectors. */
static bool is_placeholder(const struct tensor_entry *entry, const struct name *name)
{
    return entry->rank == 1 && entry->shape[0] == 0 &&
           !part_matches(name->module, norm_modules);
}

const char *lack_of_matrix(const struct tensor_entry *entry, enum tensor_role role)
{
    struct name name;

    if (role != ROLE_OTHER && role != ROLE_CONVOLUTION && entry->bytes)
        return NULL;
    name_split(&name, entry->name);
    if (name_is_optimizer(&name))
        return NULL;
    if (entry->bytes && is_stack_of_stacks(entry, &name))
        return "matrices stacked along several axes; only rank 3 is read: split the tensor";
    if ((entry->bytes && (entry->rank != 1 || !element_type_is_float(entry->type))) ||
        strcmp(name.leaf, "weight") != 0 || is_lora(&name) ||
        !(part_matches(name.module, linear_modules) ||
          part_matches(name.module, matrix_modules) || is_placeholder(entry, &name)))
        return NULL;
    return entry->bytes
               ? "named like a layer, but a vector; save the weights in their own shapes"
               : "named like a layer, but without elements, as DeepSpeed's ZeRO-3 leaves "
                 "it; gather the weights and save them again";
}
