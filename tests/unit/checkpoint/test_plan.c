/* Which tensors become what: the rules of --include, --convolutions, encodings,
 * and the record that verify reads back. */
#include <stdio.h>
#include <string.h>

#include "client/cli/plan.h"
#include "client/cli/summary.h"
#include "tests/lib/check.h"

/* ---- an input -------------------------------------------------------------------------
 */

static void add(struct tensor_table *table, const char *name, const char *type,
                uint32_t rank, uint64_t a, uint64_t b, uint64_t c)
{
    struct tensor_entry entry = {.name = name,
                                 .type = element_type_by_name(type),
                                 .rank = rank,
                                 .shape = {a, b, c},
                                 .offset = table->count * 1000};

    CHECK(table_add(table, &entry, NULL) == 0);
}

static void input_init(struct tensor_table *table)
{
    table_init(table);
    add(table, "a.weight", "F32", 2, 4, 256, 0);
    add(table, "a.bias", "F32", 1, 4, 0, 0);
    add(table, "b.conv", "BF16", 3, 4, 5, 3);
    add(table, "b.index", "I64", 2, 4, 4, 0);
    add(table, "b.none", "F16", 2, 0, 4, 0);
    add(table, "c.weight", "F16", 2, 2, 130, 0);
    CHECK(table_add_pair(table, "format", "pt", NULL) == 0);
    CHECK(table_add_pair(table, RECORD_KEY, "old", NULL) == 0);
    CHECK(table_seal(table, NULL) == 0);
}

static const struct tensor_entry *planned(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->table.count; i++)
        if (strcmp(plan->table.entries[i].name, name) == 0)
            return &plan->table.entries[i];
    return NULL;
}

/* ---- cases
 * ------------------------------------------------------------------------------ */

static void chooses_by_rank_and_type(void)
{
    struct options options = {.given = 0};
    struct tensor_table input;

    input_init(&input);
    CHECK(layer_selected(&options, table_find(&input, "a.weight")));
    CHECK(layer_selected(&options, table_find(&input, "c.weight")));
    CHECK(!layer_selected(&options, table_find(&input, "a.bias")));
    CHECK(!layer_selected(&options, table_find(&input, "b.conv")));
    CHECK(!layer_selected(&options, table_find(&input, "b.index")));
    CHECK(!layer_selected(&options, table_find(&input, "b.none")));
    options.given = OPTION_BIT(OPTION_CONVOLUTIONS);
    CHECK(layer_selected(&options, table_find(&input, "b.conv")));
    table_fini(&input);
}

static void narrows_by_name(void)
{
    struct options options = {
        .include = {.patterns = {"a.*", "c.*"}, .count = 2},
        .exclude = {.patterns = {"*.bias", "c.?eight"}, .count = 2}};

    CHECK(name_selected(&options, "a.weight"));
    CHECK(!name_selected(&options, "a.bias"));
    CHECK(!name_selected(&options, "b.weight"));
    CHECK(!name_selected(&options, "c.weight"));
}

static void flattens_kernels(void)
{
    struct matrix matrix = matrix_of(4, (uint64_t[]){8, 3, 5, 7});
    char text[SHAPE_TEXT_BYTES];

    CHECK_EQ(matrix.rows, 8);
    CHECK_EQ(matrix.columns, 105);
    CHECK_STR(shape_text(text, 4, (uint64_t[]){8, 3, 5, 7}), "[8, 3, 5, 7]");
    CHECK_STR(shape_text(text, 0, NULL), "[]");
}

static void keeps_everything_dense(void)
{
    struct options options = {.given = 0};
    struct tensor_table input;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, &input, NULL) == 0);
    CHECK_EQ(plan.layers, 2);
    CHECK_EQ(plan.table.count, input.count);
    for (size_t i = 0; i < input.count; i++) {
        const struct tensor_entry *before = &input.entries[i],
                                  *after = &plan.table.entries[plan.items[i].data];

        CHECK_STR(after->name, before->name);
        CHECK(after->type == before->type);
        CHECK_EQ(after->bytes, before->bytes);
        CHECK(plan.items[i].scales == PLAN_NONE);
    }
    CHECK_STR(table_pair(&plan.table, "format"), "pt");
    CHECK(strcmp(table_pair(&plan.table, RECORD_KEY), "old") != 0);
    plan_destroy(&plan);
    table_fini(&input);
}

static void puts_scales_beside_codes(void)
{
    struct options options = {.encoding = TRIT_ENCODING_INT8,
                              .given = OPTION_BIT(OPTION_CONVOLUTIONS)};
    struct tensor_table input;
    struct plan plan;
    const struct tensor_entry *codes, *scales;

    input_init(&input);
    CHECK(plan_create(&plan, &options, &input, NULL) == 0);
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

static void packs_rows(void)
{
    struct options options = {.encoding = TRIT_ENCODING_PQ2_0,
                              .include = {.patterns = {"a.*"}, .count = 1}};
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table input;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, &input, &failure) == 0);
    CHECK_EQ(planned(&plan, "a.weight")->type->dtype, TRIT_U8);
    CHECK_EQ(planned(&plan, "a.weight")->shape[1], 68);
    plan_destroy(&plan);
    /* 130 weights a row are no whole number of blocks. */
    options.include.count = 0;
    CHECK(plan_create(&plan, &options, &input, &failure) != 0);
    CHECK_STR(failure.message,
              "c.weight: pq2_0 holds rows of a multiple of 128 weights, these have 130");
    plan_destroy(&plan);
    table_fini(&input);
}

static void packs_far_rows(void)
{
    struct options options = {.given = OPTION_BIT(OPTION_CONVOLUTIONS),
                              .encoding = TRIT_ENCODING_HF_BITNET,
                              .exclude = {.patterns = {"c.*"}, .count = 1}};
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table input;
    struct record record;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, &input, &failure) == 0);
    CHECK_EQ(planned(&plan, "a.weight")->type->dtype, TRIT_U8);
    CHECK_EQ(planned(&plan, "a.weight")->shape[0], 1);
    CHECK_EQ(planned(&plan, "a.weight")->shape[1], 256);
    CHECK_EQ(planned(&plan, "b.conv")->rank, 2);
    CHECK_EQ(planned(&plan, "b.conv")->shape[1], 15);
    CHECK_EQ(planned(&plan, "a.weight_scale")->type->dtype, TRIT_F32);
    CHECK_EQ(planned(&plan, "a.weight_scale")->rank, 1);
    CHECK_EQ(planned(&plan, "a.weight_scale")->shape[0], 1);
    CHECK(record_read(&record, &plan.table, &failure) == 0);
    CHECK_EQ(record.group_size, 0);
    record_fini(&record);
    plan_destroy(&plan);
    options.group_size = 64;
    CHECK(plan_create(&plan, &options, &input, &failure) != 0);
    CHECK(strstr(failure.message, "one scale for the whole tensor") != NULL);
    plan_destroy(&plan);
    options.group_size = 0;
    options.exclude.count = 0;
    failure = (struct failure){.status = TRIT_OK};
    CHECK(plan_create(&plan, &options, &input, &failure) != 0);
    CHECK_STR(failure.message,
              "c.weight: hf_bitnet holds a multiple of 4 rows, these are 2");
    plan_destroy(&plan);
    table_fini(&input);
}

static void refuses_a_name_that_is_taken(void)
{
    struct options options = {.encoding = TRIT_ENCODING_INT8};
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table input;
    struct plan plan;

    table_init(&input);
    add(&input, "w", "F32", 2, 1, 1, 0);
    add(&input, "w.scales", "F32", 1, 1, 0, 0);
    CHECK(table_seal(&input, NULL) == 0);
    CHECK(plan_create(&plan, &options, &input, &failure) != 0);
    CHECK(strstr(failure.message, "w.scales, which is there already") != NULL);
    plan_destroy(&plan);
    table_fini(&input);
}

static void reads_its_record_back(void)
{
    struct options options = {.encoding = TRIT_ENCODING_INT8,
                              .group_size = 32,
                              .partial_group = TRIT_PARTIAL_EXACT};
    struct tensor_table input;
    struct tensor_entry dense;
    struct record record;
    struct plan plan;

    input_init(&input);
    CHECK(plan_create(&plan, &options, &input, NULL) == 0);
    CHECK(record_read(&record, &plan.table, NULL) == 0);
    CHECK_EQ(record.encoding, TRIT_ENCODING_INT8);
    CHECK_EQ(record.group_size, 32);
    CHECK_EQ(record.partial_group, TRIT_PARTIAL_EXACT);
    CHECK_EQ(record_count(&record), 2);
    CHECK(record_find(&record, "c.weight", &dense, NULL) == 1);
    CHECK_EQ(dense.type->dtype, TRIT_F16);
    CHECK_EQ(dense.shape[1], 130);
    CHECK_EQ(dense.bytes, 520);
    CHECK(record_find(&record, "a.bias", &dense, NULL) == 0);
    record_fini(&record);
    plan_destroy(&plan);
    table_fini(&input);
}

static void refuses_a_senseless_record(void)
{
    static const char *const records[] = {
        "",
        "{}",
        "[]",
        "{\"encoding\":\"x\",\"group_size\":1,\"partial_group\":\"exact\",\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":0,\"partial_group\":\"exact\",\"layers\":{"
        "}}",
        "{\"encoding\":\"int8\",\"group_size\":1,\"partial_group\":\"x\",\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":1,\"partial_group\":\"exact\",\"layers\":["
        "]}",
    };
    static const char *const notes[] = {
        "1",
        "{}",
        "{\"dtype\":\"F31\",\"shape\":[1]}",
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
        struct record record;

        snprintf(text, sizeof(text),
                 "{\"encoding\":\"int8\",\"group_size\":1,\"partial_group\":\"exact\","
                 "\"layers\":{\"w\":%s}}",
                 notes[i]);
        table_init(&table);
        CHECK(table_add_pair(&table, RECORD_KEY, text, NULL) == 0);
        CHECK(record_read(&record, &table, NULL) == 0);
        CHECK(record_find(&record, "w", &dense, NULL) == -1);
        record_fini(&record);
        table_fini(&table);
    }
}

static void says_why_a_layer_fails(void)
{
    struct trit_report report = {.is_ternary = true, .fraction_valid = 1};
    char text[VERDICT_BYTES];

    CHECK(report_passes(&report));
    CHECK_STR(verdict_text(text, &report), "ternary");
    report.has_reference = true;
    CHECK_STR(verdict_text(text, &report), "ternary, as the reference");
    report.reference_mismatches = 3;
    report.first_mismatch = 70;
    CHECK(!report_passes(&report));
    CHECK_STR(verdict_text(text, &report), "MISMATCH: 3 weights, first at 70");
    report.is_ternary = false;
    report.fraction_valid = 0.99999;
    CHECK_STR(verdict_text(text, &report), "NOT TERNARY: 99.99 % valid");
    report.non_finite = 2;
    CHECK_STR(verdict_text(text, &report), "NOT TERNARY: 2 not finite");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"layers are float matrices, and kernels where asked for",
         chooses_by_rank_and_type},
        {"include and exclude narrow the choice by name", narrows_by_name},
        {"a kernel is the matrix [out, in*kernel]", flattens_kernels},
        {"dense output has the tensors and metadata of the input",
         keeps_everything_dense},
        {"int8 output has scales beside the codes", puts_scales_beside_codes},
        {"packed output has whole blocks or is refused", packs_rows},
        {"rows that share bytes come in fours, with the one scale transformers reads",
         packs_far_rows},
        {"scales never take a name that is there", refuses_a_name_that_is_taken},
        {"the record is read back as it was written", reads_its_record_back},
        {"a record that makes no sense is refused", refuses_a_senseless_record},
        {"a verdict says why a layer fails", says_why_a_layer_fails},
    };

    return CHECK_RUN(cases, argc, argv);
}
