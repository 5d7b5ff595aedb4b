/* SPDX-License-Identifier: Apache-2.0 */
/* Records that hostile or broken files carry, and the forms of layers. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/form.h"
#include "checkpoint/record.h"
#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

#define RECORD(layers)                                                                   \
    "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":\"padded\","            \
    "\"layers\":{" layers "}}"

static int read_text(struct record *record, const char *text)
{
    struct tensor_table table;

    table_init(&table);
    CHECK(table_add_pair(&table, RECORD_KEY, text, NULL) == 0);
    const int result = record_read(record, &table, NULL);
    table_fini(&table);
    return result;
}

CASE(hostile_records, "a record with any invalid member is refused")
{
    static const char *const texts[] = {
        "",
        "[]",
        "null",
        "{}",
        "{\"encoding\":1}",
        "{\"encoding\":\"no\",\"group_size\":128,\"partial_group\":\"padded\",\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":1,\"partial_group\":\"padded\",\"layers\":{}}",
        "{\"encoding\":\"pq2_0\",\"group_size\":64,\"partial_group\":\"padded\",\"layers\":{}}",
        "{\"encoding\":\"mlx_2bit\",\"group_size\":256,\"partial_group\":\"padded\","
        "\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":-1,\"partial_group\":\"padded\",\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":\"128\",\"partial_group\":\"padded\","
        "\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":4294967424,\"partial_group\":\"padded\","
        "\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":\"half\",\"layers\":{}}",
        "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":\"padded\",\"layers\":[]}",
        "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":\"padded\"}",
        "{\"encoding\":\"int8\",\"encoding\":\"int8\",\"group_size\":128,"
        "\"partial_group\":\"padded\",\"layers\":{}}",
        "{\"encoding\":\"hf_bitnet\",\"group_size\":128,\"partial_group\":\"padded\","
        "\"layers\":{}}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct record record;

        if (read_text(&record, texts[i]) == 0)
            check_failed(__FILE__, __LINE__, "%s is accepted", texts[i]);
        CHECK(!record.layers);
        record_fini(&record);
    }
}

CASE(hostile_notes, "a layer's note needs a float type, a shape and a layout of its rank")
{
    static const struct {
        const char *note;
        int found;
    } cases[] = {
        {"{\"dtype\":\"F32\",\"shape\":[4,256]}", 1},
        {"{\"dtype\":\"BF16\",\"shape\":[1,1]}", 1},
        {"{\"dtype\":\"F32\",\"shape\":[1,2,3,4,5,6,7,8]}", 1},
        {"{\"dtype\":\"F32\",\"shape\":[4,256],\"layout\":\"in_out\"}", 1},
        {"{\"dtype\":\"F32\",\"shape\":[2,4,256],\"layout\":\"experts_in_out\"}", 1},
        {"{\"dtype\":\"F32\",\"shape\":[2,4,256],\"layout\":\"experts_out_in\"}", 1},
        {"{\"dtype\":\"F32\",\"shape\":[4,256],\"layout\":\"experts_out_in\"}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[2,4,256],\"layout\":\"in_out\"}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4],\"layout\":\"in_out\"}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4,256],\"layout\":\"out_in\"}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4,256],\"layout\":1}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4,256],\"layout\":null}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[8]}", -1}, /* no matrix */
        {"{\"dtype\":\"F32\",\"shape\":[4,0]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[-4,-4]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4.0,4]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[\"4\",4]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4611686018427387904]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296]}", -1},
        {"{\"dtype\":\"F32\",\"shape\":{\"0\":4}}", -1},
        {"{\"dtype\":\"F32\"}", -1},
        {"{\"dtype\":\"I8\",\"shape\":[4,256]}", -1},
        {"{\"dtype\":\"F99\",\"shape\":[4,256]}", -1},
        {"{\"dtype\":32,\"shape\":[4,256]}", -1},
        {"null", -1},
        {"[]", -1},
        {"1", -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum layer_layout layout;
        struct tensor_entry dense;
        struct record record;
        char text[512];

        snprintf(text, sizeof(text), RECORD("\"l\":%s"), cases[i].note);
        CHECK(read_text(&record, text) == 0);
        CHECK(record_names(&record, "l") && !record_names(&record, "m"));
        if (record_find(&record, "l", &dense, &layout, NULL) != cases[i].found)
            check_failed(__FILE__, __LINE__, "%s", cases[i].note);
        CHECK_EQ(record_find(&record, "m", &dense, &layout, NULL), 0);
        record_fini(&record);
    }
}

CASE(records_of_shards, "records of shards are merged, unless they contradict each other")
{
    struct failure failure = {.status = TRIT_OK};
    struct tensor_table table;
    struct record record;

    table_init(&table);
    CHECK(table_add_pair(&table, RECORD_KEY,
                         RECORD("\"a\":{\"dtype\":\"F32\",\"shape\":[4,256]}"),
                         NULL) == 0);
    CHECK(table_add_pair(&table, "trit", "not one", NULL) == 0);
    CHECK(record_read(&record, &table, &failure) < 0);
    record_fini(&record);
    table_fini(&table);
    table_init(&table);
    CHECK(table_add_pair(&table, RECORD_KEY,
                         RECORD("\"a\":{\"dtype\":\"F32\",\"shape\":[4,256]}"),
                         NULL) == 0);
    CHECK(table_add_pair(&table, RECORD_KEY,
                         RECORD("\"b\":{\"dtype\":\"F32\",\"shape\":[4,256]}"),
                         NULL) == 0);
    CHECK(record_read(&record, &table, NULL) == 0);
    CHECK_EQ(record_count(&record), 2);
    record_fini(&record);
    CHECK(table_add_pair(&table, RECORD_KEY,
                         RECORD("\"b\":{\"dtype\":\"F32\",\"shape\":[4,256]}"),
                         NULL) == 0);
    CHECK(record_read(&record, &table, NULL) == 0);
    record_fini(&record);
    CHECK(table_add_pair(&table, RECORD_KEY,
                         RECORD("\"b\":{\"dtype\":\"F32\",\"shape\":[8,128]}"),
                         NULL) == 0);
    failure = (struct failure){.status = TRIT_OK};
    CHECK(record_read(&record, &table, &failure) < 0);
    CHECK(strstr(failure.message, "describe a layer in different ways"));
    record_fini(&record);
    table_fini(&table);
    table_init(&table);
    CHECK(table_add_pair(&table, RECORD_KEY,
                         RECORD("\"a\":{\"dtype\":\"F32\",\"shape\":[4,256]}"),
                         NULL) == 0);
    CHECK(table_add_pair(&table, RECORD_KEY,
                         "{\"encoding\":\"int8\",\"group_size\":64,\"partial_group\":"
                         "\"padded\",\"layers\":{}}",
                         NULL) == 0);
    CHECK(record_read(&record, &table, NULL) < 0);
    record_fini(&record);
    table_fini(&table);
}

CASE(written_without_memory,
     "if memory runs out, the record is not written rather than incomplete")
{
    const struct layer_terms terms = {TRIT_ENCODING_INT8, 128, TRIT_PARTIAL_PADDED};
    const struct tensor_entry entry = {
        .name = "l", .type = element_type_of(TRIT_F32), .rank = 2, .shape = {4, 256}};
    uint64_t n = 1;

    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        struct record record = {.layers = NULL}, back = {.layers = NULL};
        struct tensor_table table;

        table_init(&table);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = record_init(&record, &terms, NULL) < 0 ||
                                   record_add(&record, &entry, LAYOUT_IN_OUT, NULL) < 0 ||
                                   record_write(&record, &table, NULL) < 0 ||
                                   record_read(&back, &table, NULL) < 0
                               ? -1
                               : 0;
        const bool hit = fault_disarm();
        if (result == 0) {
            enum layer_layout layout;
            struct tensor_entry dense;

            CHECK(record_find(&back, "l", &dense, &layout, NULL) == 1);
            CHECK_EQ(layout, LAYOUT_IN_OUT);
            CHECK_EQ(dense.shape[1], 256);
        }
        record_fini(&record);
        record_fini(&back);
        table_fini(&table);
        if (!hit)
            break;
    }
    json_set_alloc_funcs(malloc, free);
    CHECK(n > 20);
}

/* An output's record, with a layer of its input's record. */
static int keep(const struct record *input, struct record *output)
{
    const struct layer_terms dense = {TRIT_ENCODING_DENSE, 128, TRIT_PARTIAL_PADDED};
    struct tensor_table table;
    struct record record;
    int result = record_init(&record, &dense, NULL);

    table_init(&table);
    if (result == 0)
        result = record_keep(&record, input, "l", NULL);
    if (result == 0)
        result = record_write(&record, &table, NULL);
    if (result == 0)
        result = record_read(output, &table, NULL);
    table_fini(&table);
    record_fini(&record);
    return result;
}

CASE(keeps_terms, "a layer that is kept from another record has its own terms, or none")
{
    const struct layer_terms terms = {TRIT_ENCODING_PQ2_0, 256, TRIT_PARTIAL_EXACT};
    const struct tensor_entry entry = {
        .name = "l", .type = element_type_of(TRIT_BF16), .rank = 2, .shape = {4, 256}};
    struct record input;

    json_set_alloc_funcs(fault_malloc, free);
    CHECK(record_init(&input, &terms, NULL) == 0);
    CHECK(record_add(&input, &entry, LAYOUT_IN_OUT, NULL) == 0);
    for (uint64_t n = 1;; n++) {
        struct record output = {.layers = NULL};
        struct layer_terms found;
        enum layer_layout layout;
        struct tensor_entry dense;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = keep(&input, &output);
        const bool hit = fault_disarm();
        if (result == 0) {
            CHECK(record_terms(&output, "l", &found, NULL) == 0);
            CHECK(found.encoding == TRIT_ENCODING_PQ2_0 && found.group_size == 256 &&
                  found.partial_group == TRIT_PARTIAL_EXACT);
            CHECK(record_find(&output, "l", &dense, &layout, NULL) == 1);
            CHECK_EQ(dense.type->dtype, TRIT_BF16);
            CHECK_EQ(layout, LAYOUT_IN_OUT);
        }
        record_fini(&output);
        if (!hit)
            break;
    }
    json_set_alloc_funcs(malloc, free);
    record_fini(&input);
}

/* ---- forms --------------------------------------------------------------------------- */

CASE(matrices_of_layouts, "each layout has its rows, columns and number of matrices")
{
    const uint64_t shape[] = {2, 4, 256};
    struct matrices m = matrices_of(LAYOUT_EXPERTS_OUT_IN, 3, shape);

    CHECK(m.count == 2 && m.rows == 4 && m.columns == 256 && !m.transposed);
    m = matrices_of(LAYOUT_EXPERTS_IN_OUT, 3, shape);
    CHECK(m.count == 2 && m.rows == 256 && m.columns == 4 && m.transposed);
    m = matrices_of(LAYOUT_IN_OUT, 2, shape);
    CHECK(m.count == 1 && m.rows == 4 && m.columns == 2 && m.transposed);
    m = matrices_of(LAYOUT_OUT_IN, 1, shape);
    CHECK(m.count == 1 && m.rows == 2 && m.columns == 1);
}

CASE(names_of_tables,
     "tables of mlx_2bit are named for the module, others for the weight")
{
    char name[SCALES_NAME_BYTES], longest[FILES_NAME_BYTES_MAX + 1];

    scales_name(TRIT_ENCODING_INT8, "l.weight", name);
    CHECK_STR(name, "l.weight.scales");
    scales_name(TRIT_ENCODING_HF_BITNET, "l.weight", name);
    CHECK_STR(name, "l.weight_scale");
    scales_name(TRIT_ENCODING_MLX_2BIT, "l.weight", name);
    CHECK_STR(name, "l.scales");
    biases_name("l.weight", name);
    CHECK_STR(name, "l.biases");
    scales_name(TRIT_ENCODING_MLX_2BIT, "weight", name);
    CHECK_STR(name, "scales");
    CHECK(name_suits(TRIT_ENCODING_MLX_2BIT, "weight"));
    CHECK(!name_suits(TRIT_ENCODING_MLX_2BIT, "lweight"));
    CHECK(!name_suits(TRIT_ENCODING_MLX_2BIT, "l.weights"));
    CHECK(name_suits(TRIT_ENCODING_INT8, "l"));
    memset(longest, 'n', FILES_NAME_BYTES_MAX);
    longest[FILES_NAME_BYTES_MAX] = '\0';
    scales_name(TRIT_ENCODING_INT8, longest, name);
    CHECK_EQ(strlen(name), FILES_NAME_BYTES_MAX + strlen(".scales"));
    biases_name(longest, name);
    CHECK_EQ(strlen(name), FILES_NAME_BYTES_MAX + strlen("biases"));
}

CASE(forms_of_experts,
     "experts are packed one after the other; hf_bitnet does not hold experts")
{
    const struct tensor_entry source = {
        .type = element_type_of(TRIT_F32), .rank = 3, .shape = {2, 256, 4}};
    struct layer_terms terms = {TRIT_ENCODING_MLX_2BIT, 128, TRIT_PARTIAL_PADDED};
    struct failure failure = {.status = TRIT_OK};
    struct encoded_form form;

    CHECK(encoded_form(&terms, &source, LAYOUT_EXPERTS_IN_OUT, &form, NULL) == 0);
    CHECK_STR(form.data.type->name, "U32");
    CHECK(form.data.rank == 3 && form.data.shape[0] == 2 && form.data.shape[1] == 4 &&
          form.data.shape[2] == 16);
    CHECK(form.scales.shape[1] == 4 && form.scales.shape[2] == 2 &&
          form.biases.type == form.scales.type);
    CHECK(encoded_form(&terms, &source, LAYOUT_EXPERTS_OUT_IN, &form, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    terms.encoding = TRIT_ENCODING_INT8;
    CHECK(encoded_form(&terms, &source, LAYOUT_EXPERTS_IN_OUT, &form, NULL) == 0);
    CHECK(form.data.shape[1] == 256 && form.scales.shape[1] == 4 &&
          form.scales.shape[2] == 2);
    terms = (struct layer_terms){.encoding = TRIT_ENCODING_HF_BITNET};
    CHECK(encoded_form(&terms, &source, LAYOUT_EXPERTS_OUT_IN, &form, NULL) < 0);
}

CASE(dense_of_any_rank, "a packed tensor of any rank has a dense form or is refused")
{
    static const enum trit_encoding encodings[] = {
        TRIT_ENCODING_DENSE,    TRIT_ENCODING_INT8,   TRIT_ENCODING_PQ2_0,
        TRIT_ENCODING_TQ2_0,    TRIT_ENCODING_PTQ1_0, TRIT_ENCODING_HF_BITNET,
        TRIT_ENCODING_MLX_2BIT,
    };

    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
        for (uint32_t rank = 0; rank <= TRIT_RANK_MAX; rank++) {
            struct tensor_entry entry = {.type = element_type_of(TRIT_U8), .rank = rank},
                                dense;

            for (uint32_t k = 0; k < rank; k++)
                entry.shape[k] = 60;
            if (dense_form(encodings[i], &entry, &dense, NULL) == 0)
                CHECK(dense.rank == rank && dense.type);
        }
}

CASE(contradicting_terms, "group sizes that an encoding does not support are refused")
{
    static const struct {
        enum trit_encoding encoding;
        uint32_t size;
        int result;
    } cases[] = {
        {TRIT_ENCODING_MLX_2BIT, 64, 0},    {TRIT_ENCODING_MLX_2BIT, 128, 0},
        {TRIT_ENCODING_MLX_2BIT, 32, -1},   {TRIT_ENCODING_MLX_2BIT, 256, -1},
        {TRIT_ENCODING_HF_BITNET, 128, -1}, {TRIT_ENCODING_HF_BITNET, 0, 0},
        {TRIT_ENCODING_INT8, 1, -1},        {TRIT_ENCODING_INT8, 2, 0},
        {TRIT_ENCODING_PQ2_0, 128, 0},      {TRIT_ENCODING_PQ2_0, 100, -1},
        {TRIT_ENCODING_DENSE, 65536, 0},    {TRIT_ENCODING_DENSE, 65537, -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct layer_terms terms = {cases[i].encoding, cases[i].size,
                                          TRIT_PARTIAL_PADDED};

        if (terms_check(&terms, NULL) != cases[i].result)
            check_failed(__FILE__, __LINE__, "case %zu", i);
    }
}

CASE(scales_of_a_form, "scales fit in one run or with axes of 1, but not in other rows")
{
    static const struct {
        uint32_t rank;
        uint64_t shape[3];
        bool fits;
    } cases[] = {
        {2, {16, 4}, true},   {1, {64}, true},       {3, {16, 1, 4}, true},
        {3, {2, 8, 4}, true}, {2, {1, 64}, true},    {2, {4, 16}, false},
        {2, {8, 8}, false},   {3, {16, 4, 1}, true}, {2, {16, 5}, false},
    };
    const struct tensor_entry form = {
        .type = element_type_of(TRIT_F32), .rank = 2, .shape = {16, 4}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tensor_entry scales = {.type = element_type_of(TRIT_BF16),
                                      .rank = cases[i].rank};

        memcpy(scales.shape, cases[i].shape, sizeof(cases[i].shape));
        CHECK_EQ(scales_fit(&form, &scales), cases[i].fits);
        scales.type = element_type_of(TRIT_I8);
        CHECK(!scales_fit(&form, &scales));
    }
}

CASE(scales_of_mlx,
     "scales and biases of MLX have the shape that MLX takes, and no other")
{
    const struct tensor_entry form = {
        .type = element_type_of(TRIT_F16), .rank = 2, .shape = {16, 4}};
    struct tensor_entry scales = {
        .type = element_type_of(TRIT_BF16), .rank = 2, .shape = {16, 4}};

    CHECK(scales_fit(&form, &scales));
    scales = (struct tensor_entry){.type = scales.type, .rank = 1, .shape = {64}};
    CHECK(!scales_fit(&form, &scales));
    scales = (struct tensor_entry){.type = scales.type, .rank = 3, .shape = {16, 1, 4}};
    CHECK(!scales_fit(&form, &scales));
    scales = (struct tensor_entry){.type = scales.type, .rank = 2, .shape = {1, 64}};
    CHECK(!scales_fit(&form, &scales));
}
