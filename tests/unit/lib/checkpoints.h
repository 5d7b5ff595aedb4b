/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of checkpoints share: tables of tensors, and results as JSON. */
#ifndef TESTS_LIB_CHECKPOINTS_H
#define TESTS_LIB_CHECKPOINTS_H

#include <trit.h>

#include <jansson.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/digits.h"

static inline struct trit_checkpoint *table_create(void)
{
    struct trit_checkpoint *table = NULL;

    CHECK(trit_checkpoint_create(&table, NULL) == TRIT_OK);
    return table;
}

static inline void add(struct trit_checkpoint *table, const char *name, const char *dtype,
                       uint64_t rows, uint64_t columns)
{
    const uint64_t shape[] = {rows, columns};

    CHECK(trit_checkpoint_add_tensor(table, name, dtype, columns ? 2 : 1, shape, NULL) ==
          TRIT_OK);
}

static inline json_t *parsed(char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    CHECK(json);
    trit_free(text);
    return json;
}

static inline const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static inline long long number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Of a 64-bit integer. */
static inline uint64_t digits_of(const json_t *object, const char *key)
{
    return json_digits(json_object_get(object, key));
}

/* A bit of a model, in an order that is not that of names. */
static inline struct trit_checkpoint *model_create(void)
{
    struct trit_checkpoint *table = table_create();

    add(table, "up.weight", "F32", 8, 256);
    add(table, "up.bias", "F32", 8, 0);
    add(table, "embed_tokens.weight", "BF16", 16, 128);
    add(table, "norm.weight", "F32", 128, 0);
    add(table, "block.gate.weight", "F32", 4, 128);
    return table;
}

static inline const json_t *tensor_of(const json_t *json, const char *name)
{
    const json_t *tensors = json_object_get(json, "tensors");

    for (size_t i = 0; i < json_array_size(tensors); i++) {
        const json_t *one = json_array_get(tensors, i);

        if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
            return one;
    }
    check_failed(__FILE__, __LINE__, "%s is not there", name);
}

static inline struct trit_plan *plan_of(struct trit_checkpoint *table,
                                        const struct trit_checkpoint_options *options)
{
    struct trit_plan *plan = NULL;

    CHECK(trit_plan_create(&plan, table, options, NULL) == TRIT_OK);
    return plan;
}

#endif
