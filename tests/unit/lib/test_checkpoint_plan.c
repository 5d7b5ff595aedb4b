/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of trit.h about plans of checkpoints. */
#include "tests/unit/lib/checkpoints.h"

static json_t *json_of(const struct trit_plan *plan)
{
    char *text = NULL;

    CHECK(trit_plan_json(plan, &text, NULL) == TRIT_OK);
    return parsed(text);
}

CASE(plans_outputs, "a plan names the tensors of the output and its record")
{
    struct trit_checkpoint *table = model_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;

    CHECK(trit_checkpoint_add_metadata(table, "format", "pt", NULL) == TRIT_OK);
    options.has_encoding = true;
    options.encoding = TRIT_ENCODING_INT8;
    struct trit_plan *plan = plan_of(table, &options);
    json_t *json = json_of(plan);
    const json_t *up = tensor_of(json, "up.weight");
    const json_t *outputs = json_object_get(up, "outputs");
    const json_t *metadata = json_object_get(json, "metadata");

    CHECK_STR(text_of(up, "action"), "ternarize");
    CHECK_EQ(digits_of(up, "groups"), 16);
    CHECK_EQ(json_array_size(outputs), 2);
    CHECK_STR(text_of(json_array_get(outputs, 0), "dtype"), "I8");
    CHECK_EQ(digits_of(json_array_get(outputs, 0), "bytes"), 2048);
    CHECK_STR(text_of(json_array_get(outputs, 1), "name"), "up.weight.scales");
    CHECK_STR(text_of(tensor_of(json, "norm.weight"), "action"), "keep");
    CHECK_STR(text_of(tensor_of(json, "norm.weight"), "reason"), "a norm");
    CHECK_STR(text_of(metadata, "format"), "pt");
    CHECK(strstr(text_of(metadata, "trit"), "\"encoding\":\"int8\""));
    CHECK_EQ(digits_of(json_object_get(json, "parameters"), "ternary"), 2048 + 2048);
    CHECK_EQ(digits_of(json_object_get(json, "parameters"), "kept"), 8 + 128 + 512);
    CHECK_EQ(number_of(json, "refused"), 0);
    /* 8 bits a code, 32 bits for each 128 of them */
    CHECK(json_real_value(json_object_get(json, "bits_per_weight")) == 8.25);
    json_decref(json);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}

CASE(refuses_all, "a plan names everything that is refused, not only the first")
{
    struct trit_checkpoint *table = model_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;

    add(table, "q.weight", "U32", 8, 16);
    add(table, "q.scales", "F16", 8, 2);
    add(table, "q.biases", "F16", 8, 2);
    add(table, "odd.weight", "F32", 8, 100);
    options.has_encoding = true;
    options.encoding = TRIT_ENCODING_PQ2_0;
    struct trit_plan *plan = plan_of(table, &options);
    json_t *json = json_of(plan);

    CHECK_EQ(number_of(json, "refused"), 2);
    CHECK_STR(text_of(tensor_of(json, "q.weight"), "action"), "refuse");
    CHECK(strstr(text_of(tensor_of(json, "q.weight"), "reason"), "q.scales"));
    CHECK_STR(text_of(tensor_of(json, "q.scales"), "action"), "keep");
    CHECK(strstr(text_of(tensor_of(json, "odd.weight"), "reason"), "multiple of 128") !=
          NULL);
    CHECK_EQ(json_array_size(json_object_get(tensor_of(json, "odd.weight"), "outputs")),
             0);
    json_decref(json);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}

CASE(regroups,
     "scales of a packed layer become those of the output's groups, or are refused")
{
    static const float scales[4] = {1, 1, 2, 3};
    struct trit_checkpoint *table = model_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_pack_target target = TRIT_PACK_TARGET_INIT;
    struct trit_error error = TRIT_ERROR_INIT;
    struct trit_plan *plan = NULL;
    float wide[2] = {0};

    add(table, "p.weight", "I8", 2, 128);
    add(table, "p.weight.scales", "F32", 2, 2);
    options.has_encoding = true;
    options.encoding = TRIT_ENCODING_INT8;
    options.group_size = 64;
    target.encoding = TRIT_ENCODING_INT8;
    target.group_size = 128;
    CHECK(trit_plan_create_pack(&plan, table, &options, &target, &error) == TRIT_OK);
    CHECK(trit_plan_regroup(plan, "p.weight", 4, scales, 16, wide, 8, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "group 1: its groups of 64 weights have different"));
    CHECK(trit_plan_regroup(plan, "p.weight", 4, (const float[]){5, 5, 7, 7}, 16, wide, 8,
                            &error) == TRIT_OK);
    CHECK(wide[0] == 5 && wide[1] == 7);
    CHECK(trit_plan_regroup(plan, "p.weight", 4, scales, 15, wide, 8, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "scales");
    CHECK(trit_plan_regroup(plan, "p.weight", 4, scales, 16, wide, 4, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "bytes");
    CHECK(trit_plan_regroup(plan, "p.weight", 3, scales, 12, wide, 8, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "width");
    CHECK(trit_plan_regroup(plan, "norm.weight", 4, scales, 16, wide, 8, &error) ==
          TRIT_FAILED_PRECONDITION);
    CHECK(trit_plan_regroup(plan, "none", 4, scales, 16, wide, 8, &error) ==
          TRIT_NOT_FOUND);
    CHECK(trit_plan_regroup(plan, "p.weight", 4, NULL, 16, wide, 8, &error) ==
          TRIT_INVALID_ARGUMENT);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}

CASE(refuses_a_record,
     "a file with the record of a projection is refused without the option again")
{
    static const char record[] =
        "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":\"padded\","
        "\"version\":\"1\",\"layers\":{}}";
    struct trit_checkpoint *table = model_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;

    CHECK(trit_checkpoint_add_metadata(table, "trit", record, NULL) == TRIT_OK);
    struct trit_plan *plan = plan_of(table, &options);
    json_t *json = json_of(plan);
    CHECK(strstr(text_of(json, "refusal"), "record of a projection"));
    json_decref(json);
    trit_plan_free(plan);
    options.again = true;
    plan = plan_of(table, &options);
    json = json_of(plan);
    CHECK(!json_object_get(json, "refusal"));
    json_decref(json);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}

/* Magnitudes 0 and 3 alone. */
static void fill_ternary(float *weights, size_t count)
{
    for (size_t i = 0; i < count; i++)
        weights[i] = i % 3 == 0 ? 0.0F : i % 3 == 1 ? 3.0F : -3.0F;
}

CASE(refuses_ternary_data, "a layer whose data is already ternary is refused")
{
    struct trit_checkpoint *table = model_create();
    struct trit_plan *plan = plan_of(table, NULL);
    float weights[8 * 256];
    bool done = true;

    fill_ternary(weights, 8 * 256);
    CHECK(trit_plan_examine(plan, "up.weight", weights, 4096, &done, NULL) == TRIT_OK);
    CHECK(!done);
    CHECK(trit_plan_examine(plan, "up.weight", weights + 1024, 4096, &done, NULL) ==
          TRIT_OK);
    CHECK(done);
    json_t *json = json_of(plan);
    CHECK_STR(text_of(tensor_of(json, "up.weight"), "action"), "refuse");
    CHECK(strstr(text_of(tensor_of(json, "up.weight"), "reason"), "ternary already") !=
          NULL);
    CHECK_EQ(number_of(json, "refused"), 1);
    CHECK_EQ(digits_of(json_object_get(json, "parameters"), "ternary"), 2048);
    json_decref(json);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}

CASE(lets_latents_pass,
     "latents are recognized by their first piece; the option again accepts any data")
{
    struct trit_checkpoint *table = model_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_plan *plan = plan_of(table, NULL);
    float weights[8 * 256];
    bool done = false;

    for (int i = 0; i < 1024; i++)
        weights[i] = (float)i;
    CHECK(trit_plan_examine(plan, "up.weight", weights, 4096, &done, NULL) == TRIT_OK);
    CHECK(done);
    done = false;
    CHECK(trit_plan_examine(plan, "norm.weight", weights, 4, &done, NULL) == TRIT_OK);
    CHECK(done);
    trit_plan_free(plan);
    options.again = true;
    plan = plan_of(table, &options);
    fill_ternary(weights, 8 * 256);
    done = false;
    CHECK(trit_plan_examine(plan, "up.weight", weights, sizeof(weights), &done, NULL) ==
          TRIT_OK);
    CHECK(done);
    json_t *json = json_of(plan);
    CHECK_EQ(number_of(json, "refused"), 0);
    json_decref(json);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}

CASE(examines_no_more_than_there_is,
     "bytes beyond a tensor's end and partial elements are refused")
{
    struct trit_checkpoint *table = model_create();
    struct trit_plan *plan = plan_of(table, NULL);
    float weights[8 * 256 + 1];
    struct trit_error error = TRIT_ERROR_INIT;
    bool done;

    fill_ternary(weights, 8 * 256 + 1);
    CHECK(trit_plan_examine(plan, "up.weight", weights, sizeof(weights), &done, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "bytes");
    CHECK(trit_plan_examine(plan, "up.weight", weights, 6, &done, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_examine(plan, "nobody", weights, 4, &done, &error) == TRIT_NOT_FOUND);
    CHECK(strstr(error.message, "nobody"));
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}

CASE(reports_make_a_verdict,
     "the reports of a projection give a verdict; a layer of zeros is a warning")
{
    struct trit_checkpoint *table = model_create();
    struct trit_plan *plan = plan_of(table, NULL);
    struct trit_report report = {.size = sizeof(report), .is_ternary = true};
    enum trit_verdict verdict = TRIT_VERDICT_FAIL;
    char *text = NULL;

    report.finding_count = 1;
    report.findings[0].kind = TRIT_FINDING_SCALE_LOST;
    report.findings[0].severity = TRIT_SEVERITY_ERROR;
    CHECK(trit_plan_add_report(plan, "up.bias", &report, true, NULL) == TRIT_NOT_FOUND);
    CHECK(trit_plan_add_report(plan, "up.weight", &report, true, NULL) == TRIT_OK);
    CHECK(trit_plan_add_report(plan, "up.weight", &report, true, NULL) ==
          TRIT_FAILED_PRECONDITION);
    CHECK(trit_plan_result(plan, &verdict, NULL, NULL) == TRIT_OK);
    CHECK_EQ(verdict, TRIT_VERDICT_PASS);
    CHECK(trit_plan_add_report(plan, "embed_tokens.weight", &report, false, NULL) ==
          TRIT_OK);
    CHECK(trit_plan_result(plan, &verdict, &text, NULL) == TRIT_OK);
    CHECK_EQ(verdict, TRIT_VERDICT_FAIL);
    json_t *json = parsed(text);
    CHECK_EQ(json_array_size(json_object_get(json, "findings")), 2);
    json_decref(json);
    CHECK(trit_plan_result(NULL, NULL, NULL, NULL) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_plan_add_report(plan, "up.weight", NULL, false, NULL) ==
          TRIT_INVALID_ARGUMENT);
    trit_plan_free(plan);
    trit_checkpoint_free(table);
}
