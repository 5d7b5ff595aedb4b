/* SPDX-License-Identifier: Apache-2.0 */
/* What each tensor of a file is. */
#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/contents.h"
#include "tests/unit/checkpoint/tables.h"

/* A file, what is said of it, and what came of that. */
struct file {
    struct tensor_table table;
    struct checkpoint_options options;
    struct record record;
    struct contents contents;
    struct failure failure;
};

static void file_init(struct file *file)
{
    *file = (struct file){.failure = {.status = TRIT_OK}};
    table_init(&file->table);
}

/* Takes the file's record in where it has one. */
static int classify(struct file *file, enum contents_side side)
{
    contents_destroy(&file->contents);
    record_fini(&file->record);
    if (!file->table.by_name)
        seal(&file->table);
    if (record_read(&file->record, &file->table, &file->failure) < 0)
        return -1;
    const struct layer_terms terms = terms_of(&file->options, &file->record);
    return contents_create(&file->contents, &file->options, side, &terms, &file->table,
                           &file->record, &file->failure);
}

static void file_fini(struct file *file)
{
    contents_destroy(&file->contents);
    record_fini(&file->record);
    table_fini(&file->table);
}

static const struct content *item(const struct file *file, const char *name)
{
    return &file->contents.items[index_of(&file->table, name)];
}

#define KIND(file, name, wanted)                                                         \
    CHECK_STR(content_kind_name(item((file), (name))->kind), content_kind_name(wanted))

static const char *text_of(const struct file *file, const char *name,
                           char text[CONTENT_TEXT_BYTES])
{
    return content_text(text, &file->contents, index_of(&file->table, name));
}

/* ---- latents ----------------------------------------------------------------------- */

CASE(finds_layers_by_role_rank_and_type, "layers are found by role, rank and type")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.weight", "F32", 4, 256, 0);
    add(&file.table, "b.weight", "BF16", 4, 256, 0);
    add(&file.table, "c.conv", "F16", 4, 5, 3);
    add(&file.table, "d.bias", "F32", 4, 0, 0);
    add(&file.table, "e.index", "I64", 4, 4, 0);
    add(&file.table, "f.weight", "F64", 4, 4, 0);
    add(&file.table, "g.router.weight", "F32", 4, 4, 0);
    add(&file.table, "h.empty", "F32", 0, 4, 0);
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    KIND(&file, "a.weight", CONTENT_LAYER);
    KIND(&file, "b.weight", CONTENT_LAYER);
    KIND(&file, "c.conv", CONTENT_KEPT);
    KIND(&file, "d.bias", CONTENT_KEPT);
    KIND(&file, "e.index", CONTENT_KEPT);
    KIND(&file, "f.weight", CONTENT_UNKNOWN_DTYPE);
    KIND(&file, "g.router.weight", CONTENT_KEPT);
    KIND(&file, "h.empty", CONTENT_KEPT);
    CHECK_EQ(file.contents.layers, 2);
    CHECK_EQ(content_parameters(&file.contents, index_of(&file.table, "a.weight")), 1024);
    file.options.convolutions = true;
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    KIND(&file, "c.conv", CONTENT_LAYER);
    file_fini(&file);
}

CASE(
    integers_of_unknown_names,
    "integers that may hold weights have an unknown dtype; buffers of known names are kept")
{
    static const struct {
        const char *name, *type;
        uint64_t a, b, c;
        bool undecided;
    } tensors[] = {
        {"a.num_batches_tracked", "I64", 1, 0, 0, false},
        {"a.position_ids", "I64", 1, 512, 0, false},
        {"a.attn_mask", "U8", 64, 64, 0, false},
        {"a.relative_position_index", "I64", 49, 49, 0, false},
        {"a.attn.bias", "U8", 64, 64, 0, false}, /* GPT-2's causal mask */
        {"a.seen", "BOOL", 64, 64, 0, false},
        {"a.proj_mask", "BOOL", 64, 64, 0, false},
        {"a.weight", "BOOL", 64, 64, 0, true},
        {"a.norm.weight", "BOOL", 64, 0, 0, false},
        {"a.spiece_model", "U8", 791656, 0, 0, false},
        {"a.vector", "I32", 64, 0, 0, false},
        {"a.rotary_emb.inv_freq", "I64", 64, 2, 0, false},
        {"a.codes", "I64", 64, 64, 0, true},
        {"a.table", "I32", 64, 64, 0, true},
        {"a.q", "U8", 64, 64, 0, true},
        {"b.q", "I8", 64, 64, 0, true},
        {"b.experts.down_proj", "U8", 4, 64, 64, true},
        {"b.conv.weight", "I8", 4, 64, 3, true},
        {"b.blocks", "U8", 4, 2, 34, true},
        {"c.weight", "U8", 4096, 0, 0, true}, /* a matrix, flattened */
        {"c.w", "F64", 4, 4, 0, true},
        {"d.qzeros", "I32", 4, 4, 0, true},           /* a table without a weight */
        {"d.fc1.weight", "BF16", 262145, 0, 0, true}, /* flattened by FSDP */
        {"e.fc1.weight", "BF16", 262144, 0, 0, false},
        {"d.norm.weight", "BF16", 262145, 0, 0, false},
        {"d.fc1.bias", "BF16", 262145, 0, 0, false},
        {"d.scales", "F32", 262145, 0, 0, false},
    };
    struct file file;

    file_init(&file);
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
        add(&file.table, tensors[i].name, tensors[i].type, tensors[i].a, tensors[i].b,
            tensors[i].c);
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
        KIND(&file, tensors[i].name,
             tensors[i].undecided ? CONTENT_UNKNOWN_DTYPE : CONTENT_KEPT);
    file_fini(&file);
}

CASE(
    layers_without_a_matrix,
    "a vector, an empty tensor or one of rank 4 with a name that only layers have is unfit, "
    "and a stack of more than one axis")
{
    static const struct {
        const char *name;
        uint32_t rank;
        uint64_t shape[5];
        bool unfit;
    } tensors[] = {
        {"a.q_proj.weight", 1, {64}, true},
        {"b.q_proj.weight", 1, {0}, true},
        {"c.q_proj.weight", 2, {0, 64}, true},
        {"lm_head.weight", 1, {64}, true},
        {"blk.0.attn_q.weight", 1, {64}, true}, /* of llama.cpp */
        {"blk.0.ffn_down.weight", 2, {64, 0}, true},
        {"e.q_proj.weight", 4, {1, 1, 64, 64}, true},
        {"e.dt_proj.weight", 4, {64, 1, 1, 4}, false},
        {"a.q_proj.bias", 1, {64}, false},
        {"a.q_proj.weight_scale", 1, {64}, false},
        {"a.norm.weight", 1, {64}, false},
        {"b.norm.weight", 1, {0}, false},
        {"seq.1.weight", 1, {64}, false},
        {"q_proj.ia3_l.weight", 1, {64}, false},
        {"d.q_proj.weight", 1, {64}, false}, /* excluded */
        {"layers.mlp.weight", 4, {2, 3, 8, 256}, true},
        {"layers.experts.down_proj", 5, {2, 3, 4, 8, 256}, true},
        {"conv.weight", 4, {8, 8, 7, 7}, false},
        {"eeg.weight", 4, {8, 1, 1, 512}, false}, /* a filter over time */
        {"norm.weight", 4, {2, 2, 8, 256}, false},
        {"latents", 4, {1, 2, 8, 256}, false},
    };
    const char *const exclude[] = {"d.*"};
    struct file file;

    file_init(&file);
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
        struct tensor_entry entry = {.name = tensors[i].name,
                                     .type = element_type_by_name("BF16"),
                                     .rank = tensors[i].rank};
        memcpy(entry.shape, tensors[i].shape, sizeof(tensors[i].shape));
        CHECK(table_add(&file.table, &entry, NULL) == 0);
    }
    file.options.exclude = (struct name_patterns){exclude, 1};
    for (int side = 0; side < 2; side++) {
        CHECK(classify(&file, side ? CONTENTS_CLAIM : CONTENTS_LATENTS) == 0);
        for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++)
            if ((item(&file, tensors[i].name)->kind == CONTENT_UNFIT) != tensors[i].unfit)
                check_failed(__FILE__, __LINE__, "%s", tensors[i].name);
    }
    file_fini(&file);
}

CASE(knows_flat_parameters,
     "FSDP's flat parameters are recognized as a packing, unless they are vectors")
{
    struct file file;

    file_init(&file);
    add(&file.table, "m._flat_param", "F32", 4096, 0, 0);
    add(&file.table, "flat_param", "BF16", 4096, 0, 0);
    add(&file.table, "m.flat", "F32", 4096, 0, 0);
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    KIND(&file, "m._flat_param", CONTENT_FOREIGN_WEIGHT);
    KIND(&file, "flat_param", CONTENT_FOREIGN_WEIGHT);
    KIND(&file, "m.flat", CONTENT_KEPT);
    file_fini(&file);
}

CASE(knows_values_of_sparse_matrices,
     "a vector of values beside their places is the packing of a matrix")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.q_proj.weight.values", "F32", 4096, 0, 0);
    add(&file.table, "a.q_proj.weight.indices", "I64", 2, 4096, 0);
    add(&file.table, "b.q_proj.weight_values", "BF16", 4096, 0, 0);
    add(&file.table, "b.q_proj.weight_crow_indices", "I64", 65, 0, 0);
    add(&file.table, "c.q_proj.weight.compressed", "F16", 4096, 0, 0);
    add(&file.table, "c.q_proj.weight.bitmask", "U8", 64, 32, 0);
    add(&file.table, "d.values", "F32", 4096, 0, 0);
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.q_proj.weight.values", CONTENT_FOREIGN_WEIGHT);
    KIND(&file, "b.q_proj.weight_values", CONTENT_FOREIGN_WEIGHT);
    KIND(&file, "c.q_proj.weight.compressed", CONTENT_FOREIGN_WEIGHT);
    KIND(&file, "d.values", CONTENT_KEPT);
    file_fini(&file);
}

CASE(lets_patterns_override,
     "patterns override the rules for the tensors that they match")
{
    const char *const include[] = {"*.weight"}, *const exclude[] = {"a.*", "f.*"};
    struct file file;

    file_init(&file);
    add(&file.table, "a.weight", "F32", 4, 256, 0);
    add(&file.table, "b.weight", "F32", 4, 256, 0);
    add(&file.table, "c.other", "F32", 4, 256, 0);
    add(&file.table, "f.weight", "F64", 4, 4, 0);
    add(&file.table, "g.router.weight", "F32", 4, 4, 0);
    add(&file.table, "h.norm.weight", "F32", 4, 0, 0);
    file.options.include = (struct name_patterns){include, 1};
    file.options.exclude = (struct name_patterns){exclude, 2};
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    KIND(&file, "a.weight", CONTENT_EXCLUDED);
    KIND(&file, "b.weight", CONTENT_LAYER);
    KIND(&file, "c.other", CONTENT_EXCLUDED);
    KIND(&file, "f.weight", CONTENT_EXCLUDED);
    KIND(&file, "g.router.weight", CONTENT_LAYER);
    KIND(&file, "h.norm.weight", CONTENT_KEPT);
    CHECK(item(&file, "g.router.weight")->included);
    CHECK(!item(&file, "b.weight")->included);
    file_fini(&file);
}

CASE(keeps_embeddings_dense_where_needed,
     "embeddings and head stay dense if the encoding's reader needs them dense")
{
    const char *const include[] = {"lm_head.weight"};
    struct file file;

    file_init(&file);
    add(&file.table, "embed_tokens.weight", "F32", 4, 256, 0);
    add(&file.table, "lm_head.weight", "F32", 4, 256, 0);
    add(&file.table, "q.weight", "F32", 4, 256, 0);
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    CHECK_EQ(file.contents.layers, 3);
    file.options.has_encoding = true;
    file.options.encoding = TRIT_ENCODING_HF_BITNET;
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    KIND(&file, "embed_tokens.weight", CONTENT_KEPT);
    KIND(&file, "lm_head.weight", CONTENT_KEPT);
    KIND(&file, "q.weight", CONTENT_LAYER);
    file.options.include = (struct name_patterns){include, 1};
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    KIND(&file, "lm_head.weight", CONTENT_LAYER);
    file_fini(&file);
}

/* ---- packings of others ----------------------------------------------------------- */

CASE(knows_foreign_weights_and_their_tables,
     "weights that other tools packed are recognized by their tables")
{
    char text[CONTENT_TEXT_BYTES];
    struct file file;

    file_init(&file);
    add(&file.table, "l.biases", "F16", 128, 2, 0);
    add(&file.table, "l.scales", "F16", 128, 2, 0);
    add(&file.table, "l.weight", "U32", 128, 16, 0);
    add(&file.table, "m.weight", "F32", 4, 256, 0);
    add(&file.table, "n.scales", "F16", 128, 2, 0);
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "l.weight", CONTENT_FOREIGN_WEIGHT);
    KIND(&file, "l.scales", CONTENT_FOREIGN_TABLE);
    KIND(&file, "l.biases", CONTENT_FOREIGN_TABLE);
    KIND(&file, "m.weight", CONTENT_LAYER);
    KIND(&file, "n.scales", CONTENT_UNKNOWN_DTYPE); /* of no weight */
    CHECK_EQ(item(&file, "l.weight")->packing, PACKING_MLX);
    CHECK_EQ(item(&file, "l.scales")->owner, index_of(&file.table, "l.weight"));
    CHECK(item(&file, "n.scales")->owner == CONTENT_NONE);
    CHECK_STR(text_of(&file, "l.weight", text),
              "packed as MLX, with the tables l.scales, l.biases");
    CHECK_STR(text_of(&file, "l.biases", text), "a table of l.weight");
    CHECK_EQ(content_parameters(&file.contents, index_of(&file.table, "l.scales")), 0);
    file_fini(&file);
}

/* Whose tables are which where one module has several weights. */
CASE(keeps_the_tables_of_neighbours_apart,
     "tables belong to the weight whose name they carry")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.k_weight", "I8", 8, 8, 0);
    add(&file.table, "a.k_weight_scale", "F32", 8, 0, 0);
    add(&file.table, "a.q_weight", "I8", 8, 8, 0);
    add(&file.table, "a.q_weight_scale", "F32", 8, 0, 0);
    add(&file.table, "ab.weight", "U8", 8, 8, 0);
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    CHECK_EQ(item(&file, "a.k_weight_scale")->owner, index_of(&file.table, "a.k_weight"));
    CHECK_EQ(item(&file, "a.q_weight_scale")->owner, index_of(&file.table, "a.q_weight"));
    KIND(&file, "ab.weight", CONTENT_UNKNOWN_DTYPE);
    file_fini(&file);
}

/* ---- claims ----------------------------------------------------------------------- */

CASE(reads_an_encoding_as_told, "a claim is read in the encoding that the caller names")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.weight", "I8", 4, 256, 0);
    add(&file.table, "a.weight.scales", "F16", 4, 2, 0);
    add(&file.table, "b.weight", "I8", 4, 256, 0);
    add(&file.table, "c.SCB", "F32", 4, 0, 0);
    add(&file.table, "c.weight", "I8", 4, 256, 0);
    add(&file.table, "d.weight", "F32", 4, 256, 0);
    file.options.has_encoding = true;
    file.options.encoding = TRIT_ENCODING_INT8;
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.weight", CONTENT_LAYER);
    KIND(&file, "a.weight.scales", CONTENT_SCALES);
    KIND(&file, "b.weight", CONTENT_LAYER);
    CHECK(item(&file, "b.weight")->wants_scales);
    CHECK(item(&file, "b.weight")->scales == CONTENT_NONE);
    KIND(&file, "c.weight", CONTENT_LAYER); /* its values are read */
    CHECK_EQ(item(&file, "c.weight")->packing, PACKING_BITSANDBYTES);
    CHECK(content_is_foreign(item(&file, "c.weight")));
    KIND(&file, "d.weight", CONTENT_LAYER); /* dense it should be ternary too */
    CHECK_EQ(item(&file, "d.weight")->terms.encoding, TRIT_ENCODING_DENSE);
    /* Without being told it is somebody's packing. */
    file.options.has_encoding = false;
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.weight", CONTENT_FOREIGN_WEIGHT);
    CHECK_EQ(item(&file, "a.weight")->packing, PACKING_INT8);
    file_fini(&file);
}

CASE(refuses_forms_that_do_not_fit,
     "a tensor whose form does not fit the encoding is no layer, with the reason")
{
    char text[CONTENT_TEXT_BYTES];
    struct file file;

    file_init(&file);
    add(&file.table, "a.weight", "U8", 4, 68, 0);
    add(&file.table, "b.weight", "U8", 4, 67, 0);
    file.options.has_encoding = true;
    file.options.encoding = TRIT_ENCODING_PQ2_0;
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.weight", CONTENT_LAYER);
    CHECK_EQ(item(&file, "a.weight")->dense.shape[1], 256);
    CHECK_EQ(content_parameters(&file.contents, index_of(&file.table, "a.weight")), 1024);
    KIND(&file, "b.weight", CONTENT_UNFIT);
    CHECK_STR(text_of(&file, "b.weight", text),
              "its rows are not a whole number of pq2_0 blocks");
    file_fini(&file);
}

static void add_record(struct file *file, const char *layers)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":\"padded\","
             "\"layers\":{%s}}",
             layers);
    CHECK(table_add_pair(&file->table, RECORD_KEY, text, NULL) == 0);
}

CASE(holds_the_record_against_the_rules,
     "the record can add layers but not hide those that the rules find")
{
    const char *const exclude[] = {"d.weight"};
    struct file file;

    file_init(&file);
    add(&file.table, "a.weight", "I8", 4, 256, 0);
    add(&file.table, "a.weight.scales", "F32", 4, 2, 0);
    add(&file.table, "b.router.weight", "I8", 4, 256, 0);
    add(&file.table, "b.router.weight.scales", "F32", 4, 2, 0);
    add(&file.table, "c.weight", "I8", 4, 200, 0);
    add(&file.table, "d.weight", "F32", 4, 256, 0);
    add(&file.table, "e.norm.weight", "F32", 4, 0, 0);
    add_record(&file, "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[4,256]},"
                      "\"b.router.weight\":{\"dtype\":\"BF16\",\"shape\":[4,256]},"
                      "\"c.weight\":{\"dtype\":\"F32\",\"shape\":[4,256]}");
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.weight", CONTENT_LAYER);
    KIND(&file, "b.router.weight", CONTENT_LAYER);
    KIND(&file, "b.router.weight.scales", CONTENT_SCALES);
    KIND(&file, "c.weight", CONTENT_UNFIT);
    KIND(&file, "d.weight", CONTENT_KEPT_BY_RECORD);
    KIND(&file, "e.norm.weight", CONTENT_KEPT);
    CHECK_EQ(item(&file, "b.router.weight")->dense.type->dtype, TRIT_BF16);
    file.options.exclude = (struct name_patterns){exclude, 1};
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "d.weight", CONTENT_EXCLUDED);
    /* As latents its packed layers are no weights to project. */
    CHECK(classify(&file, CONTENTS_LATENTS) == 0);
    KIND(&file, "a.weight", CONTENT_FOREIGN_WEIGHT);
    CHECK_EQ(item(&file, "a.weight")->packing, PACKING_TRIT);
    KIND(&file, "a.weight.scales", CONTENT_FOREIGN_TABLE);
    file_fini(&file);
}

CASE(refuses_an_inconsistent_record,
     "an inconsistent record is refused and the layer is named")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.weight", "I8", 4, 256, 0);
    add_record(&file, "\"a.weight\":{\"dtype\":\"I8\",\"shape\":[4,256]}");
    CHECK(classify(&file, CONTENTS_CLAIM) < 0);
    CHECK(strstr(file.failure.message, "a.weight"));
    file_fini(&file);
}

CASE(
    tables_beside_a_recorded_layer,
    "a packed layer of the record with a table that it does not have is not its own encoding")
{
    static const char *const tables[] = {"a.g_idx",           "a.zeros",
                                         "a.weight_scale_2",  "a.weight.absmax",
                                         "a.pre_quant_scale", "a.perm"};
    static const char *const others[] = {"a.bias", "a.input_scale", "b.g_idx",
                                         "a.c.scales", "a.input_zero_point"};

    for (size_t i = 0; i < 11; i++) {
        const char *name = i < 6 ? tables[i] : others[i - 6];
        struct file file;

        file_init(&file);
        add(&file.table, "a.weight", "I8", 4, 256, 0);
        add(&file.table, "a.weight.scales", "F32", 4, 2, 0);
        add(&file.table, name, "F32", 256, 0, 0);
        add_record(&file, "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[4,256]}");
        CHECK(classify(&file, CONTENTS_CLAIM) == 0);
        KIND(&file, "a.weight", i < 6 ? CONTENT_FOREIGN_WEIGHT : CONTENT_LAYER);
        file_fini(&file);
    }
}

CASE(
    scales_of_a_neighbour,
    "a layer of the record is not another program's because a neighbour's scales have the name "
    "of its table")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.k", "I8", 4, 256, 0);
    add(&file.table, "a.k.scales", "F32", 4, 2, 0);
    add(&file.table, "a.q_scale", "F32", 4, 0, 0);
    add_record(&file, "\"a.k\":{\"dtype\":\"F32\",\"shape\":[4,256]}");
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.k", CONTENT_FOREIGN_WEIGHT);
    file_fini(&file);
    file_init(&file);
    file.options.has_encoding = true;
    file.options.encoding = TRIT_ENCODING_HF_BITNET;
    add(&file.table, "a.k", "U8", 4, 256, 0);
    add(&file.table, "a.k_scale", "F32", 1, 0, 0);
    add(&file.table, "a.q", "U8", 4, 256, 0);
    add(&file.table, "a.q_scale", "F32", 1, 0, 0);
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.k", CONTENT_LAYER);
    KIND(&file, "a.q", CONTENT_LAYER);
    KIND(&file, "a.q_scale", CONTENT_SCALES);
    CHECK_EQ(file.contents.layers, 2);
    file_fini(&file);
}

CASE(
    experts_or_a_convolution,
    "a weight of rank 3 that may be a convolution is a layer only if an option says what it is")
{
    const struct model_config config = {.experts = EXPERTS_OUT_IN};
    struct file file;

    file_init(&file);
    add(&file.table, "a.experts.up_proj", "F32", 4, 32, 64);
    add(&file.table, "a.mixer.weight", "F32", 4, 32, 64);
    file.options.config = &config;
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.experts.up_proj", CONTENT_LAYER);
    KIND(&file, "a.mixer.weight", CONTENT_KEPT);
    file.options.convolutions = true;
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    KIND(&file, "a.mixer.weight", CONTENT_LAYER);
    CHECK_EQ(item(&file, "a.mixer.weight")->role, ROLE_CONVOLUTION);
    file.options.experts = EXPERTS_OUT_IN;
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    CHECK_EQ(item(&file, "a.mixer.weight")->role, ROLE_EXPERTS);
    KIND(&file, "a.mixer.weight", CONTENT_LAYER);
    file_fini(&file);
}

CASE(one_weight_of_several_tensors,
     "what quanto, Marlin and VPTQ keep beside their codes are tables of one weight")
{
    static const char *const names[][3] = {
        {"a.weight._data._data", "a.weight._scale", "a.weight._shift"},
        {"b.B", "b.s", "b.workspace"},
        {"c.indices", "c.perm", "c.weight_scale"},
    };
    struct file file;

    file_init(&file);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            add(&file.table, names[i][k], k ? i ? "I32" : "F32" : "I32", 32,
                k && i ? 0 : 64, 0);
    CHECK(classify(&file, CONTENTS_CLAIM) == 0);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            KIND(&file, names[i][k], k ? CONTENT_FOREIGN_TABLE : CONTENT_FOREIGN_WEIGHT);
    file_fini(&file);
}

CASE(codes_in_floats,
     "floats whose bytes are codes of HQQ or bitsandbytes are no dense layer")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.W_q", "BF16", 64, 64, 0);
    add(&file.table, "a.axis", "I32", 1, 0, 0);
    add(&file.table, "a.nbits", "I32", 1, 0, 0);
    add(&file.table, "a.packing", "U8", 9, 0, 0);
    add(&file.table, "a.scale", "F16", 1, 64, 0);
    add(&file.table, "b.weight", "BF16", 64, 1, 0);
    add(&file.table, "b.weight.absmax", "F32", 64, 0, 0);
    add(&file.table, "b.weight.quant_state.bitsandbytes__nf4", "U8", 90, 0, 0);
    for (int side = 0; side < 2; side++) {
        CHECK(classify(&file, side ? CONTENTS_CLAIM : CONTENTS_LATENTS) == 0);
        KIND(&file, "a.W_q", CONTENT_FOREIGN_WEIGHT);
        KIND(&file, "b.weight", CONTENT_FOREIGN_WEIGHT);
        KIND(&file, "a.axis", CONTENT_FOREIGN_TABLE);
        KIND(&file, "a.packing", CONTENT_FOREIGN_TABLE);
        CHECK_STR(packing_name(item(&file, "a.W_q")->packing), "HQQ");
        CHECK_EQ(file.contents.layers, 0);
    }
    file_fini(&file);
}

CASE(refuses_terms_that_contradict, "an encoding with one scale accepts no group size")
{
    struct file file;

    file_init(&file);
    add(&file.table, "a.weight", "F32", 4, 256, 0);
    file.options.has_encoding = true;
    file.options.encoding = TRIT_ENCODING_HF_BITNET;
    file.options.group_size = 64;
    CHECK(classify(&file, CONTENTS_LATENTS) < 0);
    CHECK(strstr(file.failure.message, "one scale for the whole tensor"));
    file_fini(&file);
}
