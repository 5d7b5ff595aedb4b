/* SPDX-License-Identifier: Apache-2.0 */
/* Any config.json is read, and written with the block of an encoding; what is written is
 * read again and says what the block says. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/config.h"
#include "checkpoint/config_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct tensor_table *table, const char *name, uint64_t rows)
{
    const struct tensor_entry entry = {.name = name,
                                       .type = element_type_of(TRIT_F32),
                                       .rank = 2,
                                       .shape = {rows, 128},
                                       .offset = table->count};

    assert(table_add(table, &entry, NULL) == 0);
}

static void check_written(const struct plan *plan, const char *text, size_t bytes,
                          const struct model_config *before, enum trit_encoding encoding)
{
    struct model_config after;
    char *out;

    if (config_write(plan, text, bytes, &out, NULL) < 0)
        return;
    assert(model_config_read(&after, out, strlen(out), NULL) == 0);
    assert(strcmp(after.model_type, before->model_type) == 0);
    assert(after.tied == before->tied && after.conv1d == before->conv1d &&
           after.experts == before->experts);
    if (encoding == TRIT_ENCODING_HF_BITNET)
        assert(strcmp(after.quant_method, "bitnet") == 0);
    if (encoding == TRIT_ENCODING_MLX_2BIT)
        assert(after.bits == 2 && after.group_size == 128);
    model_config_fini(&after);
    free(out);
}

static void check_encoding(const char *text, size_t bytes, enum trit_encoding encoding)
{
    struct model_config config;
    const struct checkpoint_options options = {
        .has_encoding = true, .encoding = encoding, .config = &config};
    struct tensor_table table;
    struct plan plan;

    if (model_config_read(&config, text, bytes, NULL) < 0)
        return;
    assert(memchr(config.model_type, 0, CONFIG_TEXT_BYTES));
    assert(memchr(config.quant_method, 0, CONFIG_TEXT_BYTES));
    table_init(&table);
    add(&table, "h.0.mlp.c_fc.weight", 4);
    add(&table, "lm_head.weight", 8);
    assert(table_seal(&table, NULL) == 0);
    if (plan_create(&plan, &options, false, &table, NULL) == 0)
        check_written(&plan, text, bytes, &config, encoding);
    plan_destroy(&plan);
    table_fini(&table);
    assert(config_mlx_terms(&config, "lm_head.weight").bits <= 1 << 20);
    model_config_fini(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum trit_encoding encodings[] = {
        TRIT_ENCODING_INT8, TRIT_ENCODING_HF_BITNET, TRIT_ENCODING_MLX_2BIT};

    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++)
        check_encoding((const char *)data, size, encodings[i]);
    return 0;
}
