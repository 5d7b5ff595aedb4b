/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each tensor of an input, and the record that says so. */
#include <stdio.h>
#include <string.h>

#include "checkpoint/plan.h"
#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

static void input_init(struct tensor_table *table)
{
    table_init(table);
    add(table, "a.weight", "F32", 4, 256, 0);
    add(table, "a.bias", "F32", 4, 0, 0);
    add(table, "b.conv", "BF16", 4, 5, 3);
    add(table, "b.index", "I64", 4, 4, 0);
    add(table, "b.none", "F16", 0, 4, 0);
    add(table, "c.weight", "F16", 2, 130, 0);
    CHECK(table_add_pair(table, "format", "pt", NULL) == 0);
    seal(table);
}

static const struct tensor_entry *planned(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->table.count; i++)
        if (strcmp(plan->table.entries[i].name, name) == 0)
            return &plan->table.entries[i];
    return NULL;
}

static const struct plan_item *item_of(const struct plan *plan,
                                       const struct tensor_table *input, const char *name)
{
    return &plan->items[index_of(input, name)];
}

CASE(flattens_kernels, "a convolution kernel is treated as the matrix [out, in*kernel]")
{
    struct matrices matrix = matrices_of(LAYOUT_OUT_IN, 4, (uint64_t[]){8, 3, 5, 7});
    char text[SHAPE_TEXT_BYTES];

    CHECK_EQ(matrix.rows, 8);
    CHECK_EQ(matrix.columns, 105);
    CHECK_STR(shape_text(text, 4, (uint64_t[]){8, 3, 5, 7}), "[8, 3, 5, 7]");
    CHECK_STR(shape_text(text, 0, NULL), "[]");
}

CASE(keeps_everything_dense, "dense output has the tensors and metadata of the input")
{
    struct checkpoint_options options = {.group_size = 0};
    struct tensor_table input;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.layers, 2);
    CHECK_EQ(plan.refused, 0);
    CHECK(!plan.refusal);
    CHECK_EQ(plan.table.count, input.count);
    for (size_t i = 0; i < input.count; i++) {
        const struct tensor_entry *before = &input.entries[i],
                                  *after = &plan.table.entries[plan.items[i].data];

        CHECK_STR(after->name, before->name);
        CHECK(after->type == before->type);
        CHECK_EQ(after->bytes, before->bytes);
        CHECK(plan.items[i].scales == PLAN_NONE);
    }
    CHECK_EQ(plan.parameters_ternary, 1024 + 260);
    CHECK_EQ(plan.parameters_kept, 4 + 60 + 16);
    CHECK_EQ(item_of(&plan, &input, "c.weight")->groups, 4);
    CHECK_STR(item_of(&plan, &input, "a.bias")->reason, "a bias");
    CHECK_STR(table_pair(&plan.table, "format"), "pt");
    CHECK(table_pair(&plan.table, RECORD_KEY));
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(adds_a_tensor_of_scales,
     "int8 output has a tensor of scales for each tensor of codes")
{
    struct checkpoint_options options = {
        .has_encoding = true, .encoding = TRIT_ENCODING_INT8, .convolutions = true};
    const struct tensor_entry *codes, *scales;
    struct tensor_table input;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.table.count, input.count + 3);
    codes = planned(&plan, "b.conv");
    scales = planned(&plan, "b.conv.scales");
    CHECK_EQ(codes->rank, 3);
    CHECK_EQ(codes->type->dtype, TRIT_I8);
    CHECK_EQ(scales->type->dtype, TRIT_F32);
    CHECK_EQ(scales->shape[0], 4);
    CHECK_EQ(scales->shape[1], 1);
    CHECK_EQ(planned(&plan, "c.weight.scales")->shape[1], 2);
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(lists_all_that_does_not_fit,
     "every layer that does not fit is refused with its width")
{
    struct checkpoint_options options = {.has_encoding = true,
                                         .encoding = TRIT_ENCODING_PQ2_0};
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table input;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(planned(&plan, "a.weight")->type->dtype, TRIT_U8);
    CHECK_EQ(planned(&plan, "a.weight")->shape[1], 68);
    CHECK_EQ(plan.refused, 1);
    CHECK_EQ(item_of(&plan, &input, "c.weight")->action, PLAN_REFUSE);
    CHECK_STR(item_of(&plan, &input, "c.weight")->reason,
              "pq2_0 needs rows of a multiple of 128 weights, these have 130");
    CHECK(item_of(&plan, &input, "c.weight")->data == PLAN_NONE);
    plan_destroy(&plan);
    options.encoding = TRIT_ENCODING_TQ2_0;
    CHECK(plan_create(&plan, &options, false, &input, &failure) < 0);
    CHECK_STR(failure.message,
              "tq2_0 has one scale for each 256 weights: the group size must be "
              "a multiple of 256, not 128");
    plan_destroy(&plan);
    options.group_size = 256;
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.refused, 1);
    plan_destroy(&plan);
    options.group_size = 0;
    options.encoding = TRIT_ENCODING_MLX_2BIT;
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.refused, 1);
    CHECK_STR(item_of(&plan, &input, "c.weight")->reason,
              "mlx_2bit needs rows of whole groups of 128 weights, these have 130");
    CHECK_EQ(plan.layers, 1);
    plan_destroy(&plan);
    options.encoding = TRIT_ENCODING_I2_S;
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.refused, 2);
    CHECK_STR(item_of(&plan, &input, "a.weight")->reason,
              "i2_s has a form in GGUF files only");
    plan_destroy(&plan);
    options.to_gguf = true;
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.refused, 1);
    CHECK_STR(item_of(&plan, &input, "c.weight")->reason,
              "i2_s needs rows of a multiple of 128 weights, these have 130");
    CHECK_EQ(planned(&plan, "a.weight")->bytes, 4 * 256 / 4 + 32);
    CHECK_EQ(plan.layers, 1);
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(bounds_one_scale, "hf_bitnet holds up to 2^28 weights, and the plan refuses more")
{
    struct checkpoint_options options = {.has_encoding = true,
                                         .encoding = TRIT_ENCODING_HF_BITNET};
    struct tensor_table input;
    struct plan plan;

    table_init(&input);
    add(&input, "a.weight", "BF16", 1 << 14, 1 << 14, 0);
    add(&input, "b.weight", "BF16", (1 << 14) + 4, 1 << 14, 0);
    add(&input, "c.weight", "BF16", 4, 0, 0);
    seal(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.refused, 1);
    CHECK(planned(&plan, "a.weight_scale"));
    CHECK_STR(item_of(&plan, &input, "b.weight")->reason,
              "hf_bitnet supports at most 268435456 weights, these are 16388 x 16384");
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(packs_far_rows, "hf_bitnet needs a multiple of four rows and writes one scale")
{
    const char *const exclude[] = {"c.*"};
    struct checkpoint_options options = {.has_encoding = true,
                                         .convolutions = true,
                                         .encoding = TRIT_ENCODING_HF_BITNET,
                                         .exclude = {exclude, 1}};
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table input;
    struct record record;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, false, &input, &failure) == 0);
    CHECK_EQ(planned(&plan, "a.weight")->type->dtype, TRIT_U8);
    CHECK_EQ(planned(&plan, "a.weight")->shape[0], 1);
    CHECK_EQ(planned(&plan, "a.weight")->shape[1], 256);
    CHECK_EQ(planned(&plan, "b.conv")->rank, 2);
    CHECK_EQ(planned(&plan, "b.conv")->shape[1], 15);
    CHECK_EQ(planned(&plan, "a.weight_scale")->type->dtype, TRIT_F32);
    CHECK_EQ(planned(&plan, "a.weight_scale")->rank, 1);
    CHECK_EQ(item_of(&plan, &input, "a.weight")->groups, 1);
    CHECK(record_read(&record, &plan.table, &failure) == 0);
    CHECK_EQ(record.terms.group_size, 0);
    record_fini(&record);
    plan_destroy(&plan);
    options.exclude.count = 0;
    CHECK(plan_create(&plan, &options, false, &input, &failure) == 0);
    CHECK_STR(item_of(&plan, &input, "c.weight")->reason,
              "hf_bitnet needs a multiple of 4 rows, these are 2");
    plan_destroy(&plan);
    options.group_size = 64;
    CHECK(plan_create(&plan, &options, false, &input, &failure) < 0);
    CHECK(strstr(failure.message, "one scale for the whole tensor"));
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(refuses_a_name_that_is_taken, "scales never get a name that another tensor has")
{
    struct checkpoint_options options = {.has_encoding = true,
                                         .encoding = TRIT_ENCODING_INT8};
    struct tensor_table input;
    struct plan plan;

    table_init(&input);
    add(&input, "w", "F32", 2, 2, 0);
    add(&input, "w.scales", "F32", 1, 0, 0);
    seal(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.refused, 1);
    CHECK(strstr(item_of(&plan, &input, "w")->reason, "w.scales, which is taken"));
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(refuses_what_others_packed,
     "weights that other tools packed are refused, and their tables named")
{
    struct checkpoint_options options = {.group_size = 0};
    struct tensor_table input;
    struct plan plan;

    table_init(&input);
    add(&input, "a.qweight", "I32", 32, 64, 0);
    add(&input, "a.qzeros", "I32", 2, 8, 0);
    add(&input, "a.scales", "F16", 2, 64, 0);
    add(&input, "b.weight", "F8_E4M3", 4, 4, 0);
    add(&input, "b.weight_scale", "F32", 1, 0, 0);
    add(&input, "c.weight", "F32", 4, 4, 0);
    seal(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK_EQ(plan.refused, 2);
    CHECK_STR(item_of(&plan, &input, "a.qweight")->reason,
              "packed as GPTQ, with the tables a.scales, a.qzeros");
    CHECK_STR(item_of(&plan, &input, "b.weight")->reason,
              "packed as fp8, with the tables b.weight_scale");
    CHECK_EQ(item_of(&plan, &input, "a.scales")->action, PLAN_KEEP);
    CHECK_EQ(plan.layers, 1);
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(refuses_a_file_with_a_record, "a file with a record is refused without --again")
{
    static const char *const records[] = {
        "old", "{\"encoding\":\"dense\",\"group_size\":128,\"partial_group\":\"padded\","
               "\"layers\":{}}"};

    for (size_t i = 0; i < 2; i++) {
        struct checkpoint_options options = {.group_size = 0};
        struct tensor_table input;
        struct plan plan;

        table_init(&input);
        add(&input, "w", "F32", 2, 2, 0);
        CHECK(table_add_pair(&input, RECORD_KEY, records[i], NULL) == 0);
        seal(&input);
        CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
        CHECK((plan.refusal != NULL) == (i == 1)); /* the first is none */
        plan_destroy(&plan);
        CHECK(plan_create(&plan, &options, true, &input, NULL) == 0);
        CHECK(!plan.refusal);
        CHECK_EQ(plan.layers, 1);
        CHECK(strcmp(table_pair(&plan.table, RECORD_KEY), records[i]) != 0);
        CHECK_EQ(plan.table.pair_count, 2); /* the record, and a format beside it */
        plan_destroy(&plan);
        table_fini(&input);
    }
}

CASE(reads_its_record_back, "the record is read back as it was written")
{
    struct checkpoint_options options = {.has_encoding = true,
                                         .encoding = TRIT_ENCODING_INT8,
                                         .group_size = 32,
                                         .has_partial_group = true,
                                         .partial_group = TRIT_PARTIAL_EXACT};
    struct tensor_table input;
    struct tensor_entry dense;
    enum layer_layout layout;
    struct record record;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    CHECK(record_read(&record, &plan.table, NULL) == 0);
    CHECK_EQ(record.terms.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(record.terms.group_size, 32);
    CHECK_EQ(record.terms.partial_group, TRIT_PARTIAL_EXACT);
    CHECK_EQ(record_count(&record), 2);
    CHECK(record_find(&record, "c.weight", &dense, &layout, NULL) == 1);
    CHECK_EQ(dense.type->dtype, TRIT_F16);
    CHECK_EQ(dense.shape[1], 130);
    CHECK_EQ(dense.bytes, 520);
    CHECK(record_find(&record, "a.bias", &dense, &layout, NULL) == 0);
    record_fini(&record);
    plan_destroy(&plan);
    table_fini(&input);
}

CASE(refuses_an_inconsistent_record, "an inconsistent record is refused")
{
    static const char *const records[] = {
        "",
        "{}",
        "[]",
        "{\"encoding\":\"x\",\"group_size\":2,\"partial_group\":\"exact\",\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":0,\"partial_group\":\"exact\",\"layers\":{"
        "}}",
        "{\"encoding\":\"hf_bitnet\",\"group_size\":128,\"partial_group\":\"exact\","
        "\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":2,\"partial_group\":\"x\",\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":2,\"partial_group\":\"exact\",\"layers\":["
        "]}",
        /* Groups of one weight are ternary whatever they are. */
        "{\"encoding\":\"dense\",\"group_size\":1,\"partial_group\":\"padded\","
        "\"layers\":{}}",
    };
    static const char *const notes[] = {
        "1",
        "{}",
        "{\"dtype\":\"F31\",\"shape\":[1]}",
        "{\"dtype\":\"I8\",\"shape\":[1]}",
        "{\"dtype\":\"F32\",\"shape\":[]}",
        "{\"dtype\":\"F32\",\"shape\":[0]}",
        "{\"dtype\":\"F32\",\"shape\":[-1]}",
        "{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296]}",
        "{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1]}",
    };
    char text[256];

    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        struct tensor_table table;
        struct record record;

        table_init(&table);
        CHECK(table_add_pair(&table, RECORD_KEY, records[i], NULL) == 0);
        CHECK(record_read(&record, &table, NULL) != 0);
        record_fini(&record);
        table_fini(&table);
    }
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        struct tensor_table table;
        struct tensor_entry dense;
        enum layer_layout layout;
        struct record record;

        snprintf(text, sizeof(text),
                 "{\"encoding\":\"int8\",\"group_size\":2,\"partial_group\":\"exact\","
                 "\"layers\":{\"w\":%s}}",
                 notes[i]);
        table_init(&table);
        CHECK(table_add_pair(&table, RECORD_KEY, text, NULL) == 0);
        CHECK(record_read(&record, &table, NULL) == 0);
        CHECK(record_find(&record, "w", &dense, &layout, NULL) == -1);
        record_fini(&record);
        table_fini(&table);
    }
}

CASE(survives_lack_of_memory, "whichever allocation fails, nothing is left behind")
{
    for (uint64_t n = 1;; n++) {
        struct checkpoint_options options = {.has_encoding = true,
                                             .encoding = TRIT_ENCODING_INT8};
        struct tensor_table input;
        struct plan plan;
        int result;

        input_init(&input);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        result = plan_create(&plan, &options, false, &input, NULL);
        bool hit = fault_disarm();
        if (!hit)
            CHECK(result == 0);
        plan_destroy(&plan);
        table_fini(&input);
        if (!hit) {
            CHECK(n > 4);
            return;
        }
    }
}
