/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that other programs packed: which are read, and their values. */
#include <math.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/contents.h"
#include "tests/lib/check.h"
#include "tests/unit/checkpoint/tables.h"

/* A weight with its tables. */
struct packed {
    struct tensor_table table;
    struct foreign_form form;
    struct tensor_entry dense;
    enum layer_layout layout;
    size_t scales, biases;
};

static void packed_init(struct packed *packed)
{
    *packed = (struct packed){.scales = 0};
    table_init(&packed->table);
}

static bool is_read_with(struct packed *packed, const struct checkpoint_options *options)
{
    const struct tensor_entry *entry = table_find(&packed->table, "l.weight");

    return foreign_form_of(
        &packed->table, entry, foreign_packing_of(&packed->table, entry), options,
        &packed->form, &packed->dense, &packed->layout, &packed->scales, &packed->biases);
}

static bool is_read(struct packed *packed, const struct model_config *config)
{
    seal(&packed->table);
    return is_read_with(packed, &(struct checkpoint_options){.config = config});
}

static struct model_config config_of(const char *text)
{
    struct model_config config;

    CHECK(model_config_read(&config, text, strlen(text), NULL) == 0);
    return config;
}

CASE(reads_mlx_by_its_config, "MLX's bits follow from config.json and the shapes")
{
    static const struct {
        uint64_t words, groups;
        const char *config;
        unsigned bits; /* 0: it is not read */
    } cases[] = {
        {16, 2, "{\"quantization\":{\"group_size\":128,\"bits\":2}}", 2},
        {16, 2, "{\"quantization\":{\"group_size\":64,\"bits\":4}}", 4},
        {16, 2, "{\"quantization\":{\"group_size\":32,\"bits\":8}}", 8},
        /* Another layer than the model's usual: its group size tells. */
        {32, 4, "{\"quantization\":{\"group_size\":64,\"bits\":2}}", 4},
        {12, 2, "{\"quantization\":{\"group_size\":64,\"bits\":4}}", 3},
        {16, 2,
         "{\"quantization\":{\"group_size\":64,\"bits\":4,\"l\":{\"group_size\":32,"
         "\"bits\":8}}}",
         8}, /* the module has terms of its own */
        {16, 2,
         "{\"quantization\":{\"group_size\":32,\"bits\":8,\"m.l\":{\"group_size\":128,"
         "\"bits\":2,\"mode\":\"affine\"}}}",
         2}, /* with a prefix more */
        {16, 2,
         "{\"quantization\":{\"group_size\":32,\"bits\":8,\"ml\":{\"group_size\":128,"
         "\"bits\":2}}}",
         8}, /* another module */
        {16, 2, "{\"quantization\":{\"group_size\":32,\"bits\":8,\"l\":{}}}", 4},
        {16, 2, "{}", 0}, /* the same */
        {12, 4, "{}", 3}, /* only 3 bits in groups of 32 fit */
        {14, 2, "{\"quantization\":{\"group_size\":64}}", 0}, /* 3.5 bits */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model_config config = config_of(cases[i].config);
        struct packed packed;

        packed_init(&packed);
        add(&packed.table, "l.weight", "U32", 8, cases[i].words, 0);
        add(&packed.table, "l.scales", "BF16", 8, cases[i].groups, 0);
        add(&packed.table, "l.biases", "BF16", 8, cases[i].groups, 0);
        CHECK_EQ(is_read(&packed, &config), cases[i].bits != 0);
        if (cases[i].bits) {
            CHECK_EQ(packed.form.bits, cases[i].bits);
            CHECK_EQ(packed.dense.shape[1], cases[i].words * 32 / cases[i].bits);
            CHECK_EQ(packed.dense.type->dtype, TRIT_BF16);
        }
        table_fini(&packed.table);
        model_config_fini(&config);
    }
}

CASE(reads_mlx_by_an_option, "where several widths fit, the option tells MLX's bits")
{
    static const struct {
        uint64_t words, groups;
        unsigned option, bits; /* bits 0: it is not read */
    } cases[] = {
        {24, 4, 0, 0}, {24, 4, 3, 3}, {24, 4, 6, 6}, {24, 4, 4, 0}, /* 3 or 6 bits */
        {12, 4, 4, 3},                                              /* only 3 bits fit */
    };
    unsigned bits[MLX_WIDTHS_MAX];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct packed packed;

        packed_init(&packed);
        add(&packed.table, "l.weight", "U32", 8, cases[i].words, 0);
        add(&packed.table, "l.scales", "BF16", 8, cases[i].groups, 0);
        add(&packed.table, "l.biases", "BF16", 8, cases[i].groups, 0);
        seal(&packed.table);
        CHECK_EQ(
            is_read_with(&packed, &(struct checkpoint_options){.bits = cases[i].option}),
            cases[i].bits != 0);
        if (cases[i].bits)
            CHECK_EQ(packed.form.bits, cases[i].bits);
        CHECK_EQ(
            foreign_mlx_bits(&packed.table, table_find(&packed.table, "l.weight"), bits),
            cases[i].words == 24 ? 2 : 1);
        table_fini(&packed.table);
    }
}

CASE(reads_eight_bits,
     "fp8 and int8 are read by row, block and tensor, but not with zero points")
{
    static const struct {
        const char *type, *table;
        uint64_t a, b;
        const char *other; /* one more table, or NULL */
        bool read;
    } cases[] = {
        {"F8_E4M3", "l.weight_scale", 1, 0, "l.input_scale", true},
        {"F8_E4M3", "l.weight_scale_inv", 2, 3, NULL, true},
        {"F8_E5M2", "l.weight_scale", 200, 1, NULL, true},
        {"F8_E4M3", "l.weight_scale", 200, 0, NULL, true},
        {"F8_E4M3", "l.weight_scale", 3, 3, NULL, false}, /* no blocks of 128 */
        {"F8_E4M3FNUZ", "l.weight_scale", 1, 0, NULL, false},
        {"F8_E4M3", "l.weight_scale", 1, 0, "l.weight_scale_2", false},
        {"I8", "l.weight_scale", 200, 1, NULL, true},
        {"I8", "l.weight_scale", 200, 3, NULL, true},
        {"I8", "l.weight_scale", 200, 7, NULL, false},
        {"I8", "l.weight_scale", 200, 1, "l.weight_zero_point", false},
        {"I8", "l.SCB", 200, 0, NULL, true},
        {"I8", "l.SCB", 200, 0, "l.weight_format", false}, /* of another form */
        {"I8", "l.weight_scale", 200, 384, NULL, false},   /* one for each weight */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct packed packed;

        packed_init(&packed);
        add(&packed.table, "l.weight", cases[i].type, 200, 384, 0);
        add(&packed.table, cases[i].table, "F32", cases[i].a, cases[i].b, 0);
        if (cases[i].other)
            add(&packed.table, cases[i].other, "I8", 200, 0, 0);
        CHECK_EQ(is_read(&packed, NULL), cases[i].read);
        table_fini(&packed.table);
    }
}

/* Value `index` of rows [first, first + count) that are decoded by themselves. */
static float value_of(const struct foreign_form *form, uint64_t columns, uint64_t first,
                      const void *data, const void *scales, const void *biases,
                      uint64_t index)
{
    const struct foreign_rows rows = foreign_rows_of(form, columns, first, 1);
    float values[64];

    foreign_decode(form, columns, first, 1, (const char *)data + rows.data.offset,
                   (const char *)scales + rows.scales.offset,
                   biases ? (const char *)biases + rows.scales.offset : NULL, values);
    return values[index];
}

CASE(decodes_a_stream_of_bits, "codes of 3 bits cross bytes, the lowest bits first")
{
    const struct foreign_form form = {.packing = PACKING_MLX,
                                      .bits = 3,
                                      .block_rows = 1,
                                      .block_columns = 32,
                                      .scale_columns = 1,
                                      .divisor = 1,
                                      .dtype = TRIT_F32};
    const float scales[] = {0.5f, 0.25f}, biases[] = {-2.0f, -1.0f};
    uint8_t data[24] = {0};

    for (unsigned i = 0; i < 64; i++) /* code i % 8 */
        for (unsigned bit = 0; bit < 3; bit++)
            data[(3 * i + bit) / 8] |= (uint8_t)((i % 8 >> bit & 1) << (3 * i + bit) % 8);
    for (unsigned i = 0; i < 32; i++) {
        CHECK(value_of(&form, 32, 0, data, scales, biases, i) ==
              0.5f * (float)(i % 8) - 2.0f);
        CHECK(value_of(&form, 32, 1, data, scales, biases, i) ==
              0.25f * (float)(i % 8) - 1.0f);
    }
}

CASE(decodes_small_floats, "fp8 has the values of OCP's formats, NaN included")
{
    const float scales[] = {1.0f, 2.0f};
    const uint8_t e4m3[] = {0x00, 0x80, 0x38, 0xb8, 0x7e, 0x01, 0x7f, 0x08};
    const uint8_t e5m2[] = {0x3c, 0xbc, 0x7b, 0x01, 0x7c, 0x7e, 0x04, 0x00};
    struct foreign_form form = {.codes = CODES_E4M3,
                                .bits = 8,
                                .block_rows = 1,
                                .block_columns = 4,
                                .scale_columns = 2,
                                .divisor = 1,
                                .dtype = TRIT_F32};
    float values[8];

    foreign_decode(&form, 8, 0, 1, e4m3, scales, NULL, values);
    CHECK(values[0] == 0 && values[1] == 0 && values[2] == 1 && values[3] == -1);
    CHECK(values[4] == 2 * 448.0f && values[5] == 2 * ldexpf(1, -9) && isnan(values[6]));
    CHECK(values[7] == 2 * ldexpf(1, -6));
    form.codes = CODES_E5M2;
    foreign_decode(&form, 8, 0, 1, e5m2, scales, NULL, values);
    CHECK(values[0] == 1 && values[1] == -1 && values[2] == 57344.0f);
    CHECK(values[3] == ldexpf(1, -16) && isinf(values[4]) && isnan(values[5]));
    CHECK(values[6] == 2 * ldexpf(1, -14));
}

CASE(finds_the_block_of_a_row, "rows of a block share the scales of that block")
{
    const struct foreign_form form = {.codes = CODES_INT8,
                                      .bits = 8,
                                      .block_rows = 2,
                                      .block_columns = 4,
                                      .scale_columns = 1,
                                      .row_bytes = 4,
                                      .divisor = 127,
                                      .dtype = TRIT_F32};
    const int8_t data[5][4] = {{127}, {127}, {-127}, {127}, {127}};
    const float scales[] = {1, 2, 3};

    for (uint64_t row = 0; row < 5; row++)
        CHECK(value_of(&form, 4, row, data, scales, NULL, 0) ==
              (row == 2 ? -1.0f : 1.0f) * scales[row / 2]);
}

/* ---- packings that store numbers -------------------------------------------------------- */

/* Gives every small tensor of I64 the numbers in `arg`. */
static int give_shape(void *arg, const struct tensor_entry *entry, void *values,
                      size_t bytes)
{
    CHECK_EQ(bytes, entry->bytes);
    memcpy(values, arg, bytes);
    return 0;
}

CASE(reads_words_by_their_shape,
     "the width of compressed-tensors' codes follows from words and weight_shape")
{
    static const struct {
        int64_t columns;
        uint64_t words;
        unsigned given, bits; /* bits 0: it is not read */
    } cases[] = {
        {128, 8, 0, 2},       {128, 16, 0, 4}, {128, 32, 0, 8}, {100, 7, 0, 2},
        {100, 13, 0, 4},      {100, 8, 0, 0},  {2, 1, 0, 0},    {2, 1, 4, 4},
        {2, 1, 3, 0},         {0, 8, 0, 0},    {-128, 8, 0, 0}, {128, 9, 2, 0},
        {INT64_MAX, 8, 0, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t shape[] = {8, cases[i].columns};
        const struct checkpoint_options options = {
            .bits = cases[i].given, .read_small = give_shape, .read_arg = shape};
        struct packed p;

        packed_init(&p);
        add(&p.table, "l.weight_packed", "I32", 8, cases[i].words, 0);
        add(&p.table, "l.weight_scale", "BF16", 8, 1, 0);
        add(&p.table, "l.weight_shape", "I64", 2, 0, 0);
        seal(&p.table);
        const struct tensor_entry *entry = table_find(&p.table, "l.weight_packed");
        CHECK_EQ(foreign_form_of(&p.table, entry, PACKING_COMPRESSED_TENSORS, &options,
                                 &p.form, &p.dense, &p.layout, &p.scales, &p.biases),
                 cases[i].bits != 0);
        if (cases[i].bits) {
            CHECK_EQ(p.form.bits, cases[i].bits);
            CHECK_EQ(p.form.zero, 1 << (cases[i].bits - 1));
            CHECK_EQ(p.dense.shape[1], (uint64_t)cases[i].columns);
        }
        CHECK(!foreign_form_of(&p.table, entry, PACKING_COMPRESSED_TENSORS,
                               &(struct checkpoint_options){.bits = 2}, &p.form, &p.dense,
                               &p.layout, &p.scales, &p.biases));
        table_fini(&p.table);
    }
}

CASE(decodes_words_of_columns, "gemlite's words lie along the columns of [in, out]")
{
    const struct foreign_form form = {.codes = CODES_UNSIGNED,
                                      .bits = 2,
                                      .block_rows = 1,
                                      .block_columns = 4,
                                      .scale_columns = 2,
                                      .zero = 1,
                                      .codes_a_word = 4,
                                      .word_bytes = 1,
                                      .rows = 3,
                                      .divisor = 1,
                                      .dtype = TRIT_F32};
    /* Columns 0 to 3 and 4 to 7 of three rows; row 1 has +1 in column 2 and -1 in column 7. */
    const uint8_t data[] = {0x55, 0x65, 0x55, 0x55, 0x15, 0x55};
    const float scales[] = {1, 2, 3, 4, 5, 6};
    const struct foreign_rows rows = foreign_rows_of(&form, 8, 1, 2);
    float values[24];

    CHECK_EQ(rows.data.offset, 1);
    CHECK_EQ(rows.data.bytes, 2);
    CHECK_EQ(rows.data.stride, 3);
    CHECK_EQ(rows.data.count, 2);
    CHECK_EQ(rows.scales.stride, 12);
    foreign_decode(&form, 8, 0, 3, data, scales, NULL, values);
    for (int i = 0; i < 24; i++)
        CHECK(values[i] == (i == 10 ? 2.0f : i == 15 ? -5.0f : 0.0f));
}

/* A table of Keras with a ternary kernel of 13 inputs and 3 units, and its bias. */
static void keras_init(struct packed *p, const char *kernel, bool bias, uint64_t unpacked)
{
    packed_init(p);
    p->table.format = "keras";
    add(&p->table, "layers/dense/vars/0", kernel, 3, 3, 0);
    if (bias)
        add(&p->table, "layers/dense/vars/1", "F32", 3, 0, 0);
    add(&p->table, bias ? "layers/dense/vars/2" : "layers/dense/vars/1", "F32", 1, 0, 0);
    p->table.entries[p->table.count - 1].rank = 0;
    p->table.entries[0].unpacked = unpacked;
    seal(&p->table);
}

static enum packing keras_packing(const struct packed *p)
{
    return foreign_packing_of(&p->table, table_find(&p->table, "layers/dense/vars/0"));
}

static bool keras_is_read(struct packed *p)
{
    const struct checkpoint_options options = {.bits = 0};

    return foreign_form_of(&p->table, table_find(&p->table, "layers/dense/vars/0"),
                           PACKING_KERAS, &options, &p->form, &p->dense, &p->layout,
                           &p->scales, &p->biases);
}

CASE(reads_keras_kernels,
     "Keras's kernels are known by their tables and read with inputs")
{
    struct packed p;

    for (int bias = 0; bias < 2; bias++) {
        keras_init(&p, "U8", bias, 13);
        CHECK_EQ(keras_packing(&p), PACKING_KERAS);
        CHECK(keras_is_read(&p));
        CHECK_EQ(p.dense.shape[0], 3);
        CHECK_EQ(p.dense.shape[1], 13);
        CHECK_EQ(p.dense.bytes, 3 * 13 * 4);
        CHECK_STR(p.table.entries[p.scales].name,
                  bias ? "layers/dense/vars/2" : "layers/dense/vars/1");
        table_fini(&p.table);
    }
    keras_init(&p, "U8", true, 0); /* the inputs are not known */
    CHECK_EQ(keras_packing(&p), PACKING_KERAS);
    CHECK(!keras_is_read(&p));
    table_fini(&p.table);
    keras_init(&p, "U8", true, 16); /* inputs of another shape */
    CHECK(!keras_is_read(&p));
    table_fini(&p.table);
    keras_init(&p, "I8", true, 13); /* as int8 kernels of Keras are */
    CHECK_EQ(keras_packing(&p), PACKING_NONE);
    table_fini(&p.table);
}

CASE(decodes_keras_codes,
     "a single +1 is decoded at its own place for every place in a byte")
{
    static const uint8_t places[] = {1, 3, 9, 27, 81};
    struct packed p;

    keras_init(&p, "U8", true, 13);
    CHECK(keras_is_read(&p));
    for (uint64_t place = 0; place < 39; place++) {
        const uint64_t unit = place / 13, input = place % 13;
        uint8_t data[9];
        const float scale = 0.5f;
        float values[39];

        memset(data, 121, sizeof(data));
        data[input / 5 * 3 + unit] += places[input % 5];
        foreign_decode(&p.form, 13, 0, 3, data, &scale, NULL, values);
        for (uint64_t i = 0; i < 39; i++)
            CHECK(values[i] == (i == place ? 0.5f : 0.0f));
    }
    const struct foreign_rows rows = foreign_rows_of(&p.form, 13, 1, 2);
    CHECK_EQ(rows.data.offset, 1);
    CHECK_EQ(rows.data.bytes, 2);
    CHECK_EQ(rows.data.stride, 3);
    CHECK_EQ(rows.data.count, 3);
    CHECK_EQ(rows.scales.bytes, 4);
    CHECK_EQ(rows.scales.count, 1);
    table_fini(&p.table);
}

/* ---- files that do not say how they are encoded ----------------------------------------- */

static struct layer_terms terms_found(const struct tensor_table *table,
                                      const struct checkpoint_options *options)
{
    return terms_of_claim(options, NULL, table);
}

CASE(finds_bitnet_by_its_tables,
     "U8 with one weight_scale is hf_bitnet unless an option says otherwise")
{
    struct model_config other =
        config_of("{\"quantization_config\":{\"quant_method\":\"compressed-tensors\"}}");
    struct checkpoint_options options = {.group_size = 0};
    struct tensor_table table;

    table_init(&table);
    add(&table, "e.weight", "BF16", 8, 64, 0);
    add(&table, "l.weight", "U8", 4, 64, 0);
    add(&table, "l.weight_scale", "BF16", 1, 0, 0);
    seal(&table);
    CHECK_EQ(terms_found(&table, &options).encoding, TRIT_ENCODING_HF_BITNET);
    CHECK_EQ(terms_found(&table, &options).group_size, 0);
    options.config = &other;
    CHECK_EQ(terms_found(&table, &options).encoding, TRIT_ENCODING_DENSE);
    options.config = NULL;
    options.group_size = 64; /* hf_bitnet has no groups */
    CHECK_EQ(terms_found(&table, &options).encoding, TRIT_ENCODING_DENSE);
    options.group_size = 0;
    options.has_encoding = true;
    CHECK_EQ(terms_found(&table, &options).encoding, TRIT_ENCODING_DENSE);
    table_fini(&table);
    model_config_fini(&other);
}

CASE(finds_int8_by_its_tables, "I8 with NAME.scales is int8; the shapes give its groups")
{
    static const struct {
        uint64_t columns, groups;
        uint32_t size; /* 0: not known */
    } cases[] = {{256, 2, 128}, {200, 2, 128}, {256, 4, 64}, {320, 20, 16}, {200, 3, 0}};
    const struct checkpoint_options options = {.group_size = 0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tensor_table table;

        table_init(&table);
        add(&table, "l.weight", "I8", 4, cases[i].columns, 0);
        add(&table, "l.weight.scales", "F32", 4, cases[i].groups, 0);
        seal(&table);
        const struct layer_terms terms = terms_found(&table, &options);
        CHECK_EQ(terms.encoding,
                 cases[i].size ? TRIT_ENCODING_INT8 : TRIT_ENCODING_DENSE);
        CHECK(!cases[i].size || terms.group_size == cases[i].size);
        table_fini(&table);
    }
}
