/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of trit.h about checkpoints: tables, contents, options. */
#include "tests/unit/lib/checkpoints.h"

static json_t *contents_of(struct trit_checkpoint *table,
                           const struct trit_checkpoint_options *options)
{
    char *text = NULL;

    CHECK(trit_checkpoint_contents(table, options, &text, NULL) == TRIT_OK);
    return parsed(text);
}

/* ---- tables --------------------------------------------------------------------- */

CASE(refuses_what_no_file_has,
     "a dtype that safetensors does not have is refused by name")
{
    struct trit_checkpoint *table = table_create();
    const uint64_t shape[] = {1, 2};
    struct trit_error error = TRIT_ERROR_INIT;

    CHECK(trit_checkpoint_add_tensor(table, "a", "float32", 2, shape, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "dtype");
    CHECK(strstr(error.message, "float32"));
    CHECK(trit_checkpoint_add_tensor(table, "a", "F32", 9, shape, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "rank");
    CHECK(trit_checkpoint_add_tensor(table, "\xff", "F32", 2, shape, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "name");
    CHECK(trit_checkpoint_add_metadata(table, "k", "\xff", &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "value");
    trit_checkpoint_free(table);
}

CASE(is_frozen_after_use, "a table accepts no more tensors after its first use")
{
    struct trit_checkpoint *table = model_create();
    struct trit_error error = TRIT_ERROR_INIT;

    json_decref(contents_of(table, NULL));
    CHECK(trit_checkpoint_add_tensor(table, "a", "F32", 0, NULL, &error) ==
          TRIT_FAILED_PRECONDITION);
    CHECK(trit_checkpoint_add_metadata(table, "a", "b", &error) ==
          TRIT_FAILED_PRECONDITION);
    trit_checkpoint_free(table);
}

CASE(refuses_two_of_one_name, "two tensors of the same name are refused at the first use")
{
    struct trit_checkpoint *table = model_create();
    struct trit_error error = TRIT_ERROR_INIT;
    char *text = NULL;

    add(table, "up.bias", "F32", 8, 0);
    CHECK(trit_checkpoint_contents(table, NULL, &text, &error) == TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "up.bias") && !text);
    trit_checkpoint_free(table);
    table = table_create();
    CHECK(trit_checkpoint_add_metadata(table, "k", "v", NULL) == TRIT_OK);
    CHECK(trit_checkpoint_add_metadata(table, "k", "w", &error) == TRIT_INVALID_ARGUMENT);
    trit_checkpoint_free(table);
}

/* ---- contents ------------------------------------------------------------------- */

CASE(says_the_role_of_each, "contents give the role of each tensor, in the table's order")
{
    struct trit_checkpoint *table = model_create();
    json_t *json = contents_of(table, NULL);
    const json_t *up = tensor_of(json, "up.weight");

    CHECK_EQ(number_of(json, "layers"), 2);
    CHECK(json_array_get(json_object_get(json, "tensors"), 0) == up);
    CHECK_STR(text_of(up, "kind"), "layer");
    CHECK_STR(text_of(up, "dtype"), "F32");
    CHECK_STR(text_of(up, "encoding"), "dense");
    CHECK_EQ(number_of(up, "group_size"), 128);
    CHECK_EQ(digits_of(up, "parameters"), 8 * 256);
    CHECK_STR(text_of(json_object_get(up, "dense"), "dtype"), "F32");
    CHECK_STR(text_of(tensor_of(json, "up.bias"), "kind"), "kept");
    CHECK_STR(text_of(tensor_of(json, "up.bias"), "what"), "a bias");
    CHECK_STR(text_of(tensor_of(json, "embed_tokens.weight"), "role"), "embedding");
    CHECK_STR(text_of(tensor_of(json, "block.gate.weight"), "role"), "router");
    json_decref(json);
    trit_checkpoint_free(table);
}

CASE(finds_scales, "a packed layer names its scales and their type")
{
    struct trit_checkpoint *table = table_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;

    add(table, "a.weight", "U8", 2, 64);
    add(table, "a.weight_scale", "BF16", 1, 0);
    options.has_encoding = true;
    options.encoding = TRIT_ENCODING_HF_BITNET;
    json_t *json = contents_of(table, &options);
    const json_t *scales = json_object_get(tensor_of(json, "a.weight"), "scales");

    CHECK_STR(text_of(scales, "name"), "a.weight_scale");
    CHECK_STR(text_of(scales, "dtype"), "BF16");
    CHECK_STR(text_of(tensor_of(json, "a.weight_scale"), "kind"), "scales");
    CHECK_EQ(digits_of(tensor_of(json, "a.weight"), "parameters"), 8 * 64);
    json_decref(json);
    trit_checkpoint_free(table);
}

/* ---- options -------------------------------------------------------------------- */

CASE(patterns_must_match, "a pattern that matches no tensor is refused by name")
{
    static const char *const patterns[] = {"up.*", "down.*"};
    struct trit_checkpoint *table = model_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_plan *plan = NULL;
    struct trit_error error = TRIT_ERROR_INIT;
    char *text = NULL;

    options.include = patterns;
    options.include_count = 2;
    CHECK(trit_checkpoint_contents(table, &options, &text, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "include");
    CHECK(strstr(error.message, "\"down.*\""));
    options.include = NULL;
    options.include_count = 0;
    options.exclude = patterns + 1;
    options.exclude_count = 1;
    CHECK(trit_plan_create(&plan, table, &options, &error) == TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "exclude");
    CHECK(!plan);
    trit_checkpoint_free(table);
}

/* Options as a program has them that was built with another version's header. */
CASE(options_grow, "unknown options are refused, also in a struct without a size")
{
    struct trit_checkpoint *table = model_create();
    struct {
        struct trit_checkpoint_options known;
        unsigned char newer[16];
    } options = {TRIT_CHECKPOINT_OPTIONS_INIT, {0}};
    struct trit_error error = TRIT_ERROR_INIT;
    char *text = NULL;

    options.known.size = sizeof(options);
    json_decref(contents_of(table, &options.known));
    options.newer[3] = 1;
    CHECK(trit_checkpoint_contents(table, &options.known, &text, &error) ==
          TRIT_INVALID_ARGUMENT);
    options.known.size = 0;
    CHECK(trit_checkpoint_contents(table, &options.known, &text, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.message, "options: struct trit_checkpoint_options has size 0; "
                             "initialize it with TRIT_CHECKPOINT_OPTIONS_INIT");
    CHECK(!text);
    trit_checkpoint_free(table);
}

CASE(options_make_sense, "invalid options are refused by field")
{
    struct trit_checkpoint *table = model_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    char *text = NULL;

    options.has_encoding = true;
    options.encoding = (enum trit_encoding)99;
    CHECK(trit_checkpoint_contents(table, &options, &text, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "options.encoding");
    options.encoding = TRIT_ENCODING_HF_BITNET;
    options.group_size = 128;
    CHECK(trit_checkpoint_contents(table, &options, &text, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "group_size");
    options = (struct trit_checkpoint_options)TRIT_CHECKPOINT_OPTIONS_INIT;
    options.include_count = 1;
    CHECK(trit_checkpoint_contents(table, &options, &text, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "options.include");
    trit_checkpoint_free(table);
}

/* ---- NULL ----------------------------------------------------------------------- */

CASE(names_formats, "a file's format follows from its name")
{
    CHECK_STR(trit_file_format("a/model.safetensors"), "safetensors");
    CHECK_STR(trit_file_format("a.gguf/model"), "safetensors");
    CHECK_STR(trit_file_format("w.npy"), "npy");
    CHECK_STR(trit_file_format("MODEL.GGUF"), "gguf");
    CHECK_STR(trit_file_format("pytorch_model.bin"), "PyTorch or raw data");
    CHECK(!trit_file_format(NULL));
}

CASE(null_is_invalid, "a NULL argument gives INVALID_ARGUMENT and its name")
{
    struct trit_checkpoint *table = model_create();
    struct trit_plan *plan = plan_of(table, NULL);
    struct trit_error error = TRIT_ERROR_INIT;
    bool done;

    CHECK(trit_checkpoint_create(NULL, &error) == TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "checkpoint");
    CHECK(trit_checkpoint_add_tensor(NULL, "a", "F32", 0, NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_checkpoint_contents(table, NULL, NULL, &error) == TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "json");
    CHECK(trit_checkpoint_contents(NULL, NULL, NULL, NULL) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_create(NULL, table, NULL, &error) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_create(&plan, NULL, NULL, &error) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_json(plan, NULL, &error) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_json(NULL, NULL, NULL) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_examine(plan, "up.weight", NULL, 4, &done, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "data");
    CHECK(trit_plan_examine(plan, NULL, &done, 1, &done, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_examine(plan, "up.weight", &done, 1, NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    trit_plan_free(plan);
    trit_plan_free(NULL);
    trit_checkpoint_free(table);
    trit_checkpoint_free(NULL);
    table = table_create();
    CHECK(trit_checkpoint_add_tensor(table, "a", NULL, 0, NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "dtype");
    CHECK(trit_checkpoint_add_tensor(table, "a", "F32", 1, NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "shape");
    CHECK(trit_checkpoint_add_metadata(table, "a", NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "value");
    trit_checkpoint_free(table);
}
