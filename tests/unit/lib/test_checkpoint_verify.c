/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of trit.h about verifications of checkpoints. */
#include "tests/unit/lib/checkpoints.h"

/* A layer and what stands beside it. */
static struct trit_checkpoint *pair_create(void)
{
    struct trit_checkpoint *table = NULL;

    CHECK(trit_checkpoint_create(&table, NULL) == TRIT_OK);
    add(table, "up.weight", "F32", 8, 128);
    add(table, "up.bias", "F32", 8, 0);
    return table;
}

static struct trit_verification *begun(struct trit_checkpoint *claim,
                                       struct trit_checkpoint *latents,
                                       const struct trit_checkpoint_options *options)
{
    struct trit_verification *v = NULL;

    CHECK(trit_verification_create(&v, claim, latents, options, NULL) == TRIT_OK);
    return v;
}

static json_t *steps_of(const struct trit_verification *v)
{
    char *text = NULL;

    CHECK(trit_verification_steps(v, &text, NULL) == TRIT_OK);
    return parsed(text);
}

static json_t *result_of(struct trit_verification *v)
{
    char *text = NULL;

    CHECK(trit_verification_result(v, NULL, &text, NULL) == TRIT_OK);
    return parsed(text);
}

static const json_t *step_at(const json_t *json, size_t index)
{
    return json_array_get(json_object_get(json, "steps"), index);
}

static const json_t *finding_at(const json_t *json, size_t index)
{
    return json_array_get(json_object_get(json, "findings"), index);
}

/* What the daemon says of a layer that is as it should be. */
static struct trit_report report_create(bool reference)
{
    return (struct trit_report){.size = sizeof(struct trit_report),
                                .is_ternary = true,
                                .elements = 1024,
                                .zeros = 24,
                                .positives = 1000,
                                .has_reference = reference};
}

static void check_reported(struct trit_verification *v, bool reference)
{
    const struct trit_report report = report_create(reference);

    CHECK(trit_verification_add_report(v, "up.weight", &report, NULL) == TRIT_OK);
}

static void check_verdict(struct trit_verification *v, enum trit_verdict wanted)
{
    enum trit_verdict verdict = TRIT_VERDICT_PASS;

    CHECK(trit_verification_result(v, &verdict, NULL, NULL) == TRIT_OK);
    CHECK_STR(trit_verdict_name(verdict), trit_verdict_name(wanted));
}

CASE(layers_alone, "without latents there is one step for each layer and no other")
{
    struct trit_checkpoint *claim = pair_create();
    struct trit_verification *v = begun(claim, NULL, NULL);
    json_t *json = steps_of(v);
    const json_t *step = step_at(json, 0);

    CHECK_EQ(json_array_size(json_object_get(json, "steps")), 1);
    CHECK_STR(text_of(step, "tensor"), "up.weight");
    CHECK_STR(text_of(step, "check"), "ternary");
    CHECK_STR(text_of(step, "encoding"), "dense");
    CHECK_EQ(json_digits(json_array_get(json_object_get(step, "matrix"), 1)), 128);
    json_decref(json);
    check_reported(v, false);
    json = result_of(v);
    CHECK_STR(text_of(json, "verdict"), "pass");
    CHECK_EQ(json_digits(json_object_get(json, "examined")), 1024);
    CHECK_EQ(json_digits(json_object_get(json, "kept")), 8);
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(claim);
}

CASE(no_verdict_before_the_end, "there is no verdict before every step is done")
{
    struct trit_checkpoint *claim = pair_create(), *latents = pair_create();
    struct trit_verification *v = begun(claim, latents, NULL);
    const float bias[8] = {1, 2, 3};
    enum trit_verdict verdict = TRIT_VERDICT_FAIL;
    struct trit_error error = TRIT_ERROR_INIT;

    CHECK(trit_verification_result(v, &verdict, NULL, &error) ==
          TRIT_FAILED_PRECONDITION);
    CHECK(strstr(error.message, "up.weight"));
    check_reported(v, true);
    CHECK(trit_verification_compare(v, "up.bias", bias, bias, 16, NULL) == TRIT_OK);
    CHECK(trit_verification_result(v, &verdict, NULL, &error) ==
          TRIT_FAILED_PRECONDITION);
    CHECK(strstr(error.message, "up.bias"));
    CHECK(trit_verification_compare(v, "up.bias", bias + 4, bias + 4, 16, NULL) ==
          TRIT_OK);
    check_verdict(v, TRIT_VERDICT_PASS);
    trit_verification_free(v);
    trit_checkpoint_free(latents);
    trit_checkpoint_free(claim);
}

CASE(finds_other_bytes, "a tensor that is no layer fails if it differs, with both values")
{
    struct trit_checkpoint *claim = pair_create(), *latents = pair_create();
    struct trit_verification *v = begun(claim, latents, NULL);
    const float wanted[8] = {1, 2, 3}, got[8] = {1, 2, 0.5F};

    check_reported(v, true);
    CHECK(trit_verification_compare(v, "up.bias", wanted, got, 32, NULL) == TRIT_OK);
    check_verdict(v, TRIT_VERDICT_FAIL);
    json_t *json = result_of(v);
    const json_t *finding = finding_at(json, 0);
    CHECK_STR(text_of(finding, "kind"), "other_tensor_differs");
    CHECK_STR(text_of(finding, "tensor"), "up.bias");
    CHECK_STR(text_of(finding, "expected"), "3");
    CHECK_STR(text_of(finding, "got"), "0.5");
    CHECK_EQ(json_digits(json_object_get(finding, "index")), 2);
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(latents);
    trit_checkpoint_free(claim);
}

CASE(finds_other_forms,
     "a tensor of another shape fails without a comparison of its bytes")
{
    struct trit_checkpoint *claim = pair_create(), *latents = pair_create();

    add(claim, "norm.weight", "F32", 4, 0);
    add(latents, "norm.weight", "F32", 5, 0);
    struct trit_verification *v = begun(claim, latents, NULL);
    json_t *json = steps_of(v);
    CHECK_EQ(json_array_size(json_object_get(json, "steps")), 2);
    json_decref(json);
    const float bias[8] = {0};
    check_reported(v, true);
    CHECK(trit_verification_compare(v, "up.bias", bias, bias, 32, NULL) == TRIT_OK);
    json = result_of(v);
    CHECK_STR(text_of(finding_at(json, 0), "kind"), "other_tensor_differs");
    CHECK_STR(text_of(finding_at(json, 0), "expected"), "F32 [5]");
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(latents);
    trit_checkpoint_free(claim);
}

CASE(accounts_for_both_sides, "a tensor that only one side has fails the file")
{
    struct trit_checkpoint *claim = pair_create(), *latents = pair_create();

    add(latents, "down.weight", "F32", 8, 128);
    add(claim, "norm.weight", "F32", 4, 0);
    struct trit_verification *v = begun(claim, latents, NULL);
    const float bias[8] = {0};
    check_reported(v, true);
    CHECK(trit_verification_compare(v, "up.bias", bias, bias, 32, NULL) == TRIT_OK);
    check_verdict(v, TRIT_VERDICT_FAIL);
    json_t *json = result_of(v);
    CHECK_EQ(json_array_size(json_object_get(json, "findings")), 2);
    CHECK_STR(text_of(finding_at(json, 0), "kind"), "extra_tensor");
    CHECK_STR(text_of(finding_at(json, 1), "kind"), "missing_layer");
    CHECK_STR(text_of(finding_at(json, 1), "layer"), "down.weight");
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(latents);
    trit_checkpoint_free(claim);
}

CASE(nothing_is_inconclusive, "a file in which nothing was examined is inconclusive")
{
    struct trit_checkpoint *claim = NULL;

    CHECK(trit_checkpoint_create(&claim, NULL) == TRIT_OK);
    add(claim, "up.bias", "F32", 8, 0);
    struct trit_verification *v = begun(claim, NULL, NULL);
    check_verdict(v, TRIT_VERDICT_INCONCLUSIVE);
    json_t *json = result_of(v);
    CHECK_EQ(json_array_size(json_object_get(json, "findings")), 1);
    CHECK_STR(text_of(finding_at(json, 0), "kind"), "nothing_examined");
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(claim);
}

CASE(reports_make_findings, "the findings of a report carry the layer's name")
{
    struct trit_checkpoint *claim = pair_create();
    struct trit_verification *v = begun(claim, NULL, NULL);
    struct trit_report report = report_create(false);

    report.is_ternary = false;
    report.finding_count = 1;
    report.findings[0].kind = TRIT_FINDING_NOT_TERNARY;
    report.findings[0].severity = TRIT_SEVERITY_ERROR;
    CHECK(trit_verification_add_report(v, "up.weight", &report, NULL) == TRIT_OK);
    check_verdict(v, TRIT_VERDICT_FAIL);
    json_t *json = result_of(v);
    CHECK_EQ(json_array_size(json_object_get(json, "findings")), 1);
    CHECK_STR(text_of(finding_at(json, 0), "layer"), "up.weight");
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(claim);
}

CASE(dead_layers_fail, "a layer of zeros fails, unless dead layers are allowed")
{
    struct trit_checkpoint *claim = pair_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_report report = report_create(false);

    report.zeros = report.elements;
    report.positives = 0;
    struct trit_verification *v = begun(claim, NULL, &options);
    CHECK(trit_verification_add_report(v, "up.weight", &report, NULL) == TRIT_OK);
    check_verdict(v, TRIT_VERDICT_FAIL);
    trit_verification_free(v);
    options.allow_dead = true;
    v = begun(claim, NULL, &options);
    CHECK(trit_verification_add_report(v, "up.weight", &report, NULL) == TRIT_OK);
    check_verdict(v, TRIT_VERDICT_PASS);
    trit_verification_free(v);
    trit_checkpoint_free(claim);
}

CASE(record_shortens_nothing, "a record that omits a layer makes the file inconclusive")
{
    static const char record[] =
        "{\"encoding\":\"dense\",\"group_size\":128,\"partial_group\":\"padded\","
        "\"version\":\"1\",\"layers\":{\"up.weight\":{\"dtype\":\"F32\","
        "\"shape\":[8,128]}}}";
    struct trit_checkpoint *claim = pair_create();
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;

    add(claim, "down.weight", "F32", 8, 128);
    CHECK(trit_checkpoint_add_metadata(claim, "trit", record, NULL) == TRIT_OK);
    struct trit_verification *v = begun(claim, NULL, &options);
    check_reported(v, false);
    check_verdict(v, TRIT_VERDICT_INCONCLUSIVE);
    trit_verification_free(v);
    options.accept_record = true;
    v = begun(claim, NULL, &options);
    check_reported(v, false);
    check_verdict(v, TRIT_VERDICT_PASS);
    trit_verification_free(v);
    trit_checkpoint_free(claim);
}

CASE(misuse_is_refused, "reports and bytes that no step asked for are refused")
{
    struct trit_checkpoint *claim = pair_create(), *latents = pair_create();
    const struct trit_report report = report_create(false),
                             compared = report_create(true);
    const float bytes[9] = {0};
    struct trit_error error = TRIT_ERROR_INIT;

    add(claim, "norm.weight", "F32", 4, 0);
    add(latents, "norm.weight", "F32", 4, 0);
    struct trit_verification *v = begun(claim, latents, NULL);
    CHECK(trit_verification_add_report(v, "up.bias", &report, NULL) == TRIT_NOT_FOUND);
    CHECK(trit_verification_add_report(v, "nobody", &report, NULL) == TRIT_NOT_FOUND);
    CHECK(trit_verification_add_report(v, "up.weight", &report, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(strstr(error.message, "no reference"));
    CHECK(trit_verification_add_report(v, "up.weight", &compared, NULL) == TRIT_OK);
    CHECK(trit_verification_add_report(v, "up.weight", &compared, NULL) ==
          TRIT_FAILED_PRECONDITION);
    CHECK(trit_verification_compare(v, "up.weight", bytes, bytes, 4, NULL) ==
          TRIT_NOT_FOUND);
    CHECK(trit_verification_compare(v, "up.bias", bytes, bytes, 3, NULL) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_verification_compare(v, "up.bias", bytes, bytes, 36, NULL) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_verification_compare(v, "up.bias", bytes, bytes, 4, NULL) == TRIT_OK);
    CHECK(trit_verification_compare(v, "norm.weight", bytes, bytes, 16, &error) ==
          TRIT_FAILED_PRECONDITION);
    CHECK(strstr(error.message, "up.bias"));
    trit_verification_free(v);
    trit_checkpoint_free(latents);
    trit_checkpoint_free(claim);
}

CASE(null_is_invalid, "a NULL argument gives INVALID_ARGUMENT and its name")
{
    struct trit_checkpoint *claim = pair_create();
    struct trit_verification *v = begun(claim, NULL, NULL);
    const struct trit_report report = report_create(false);
    struct trit_error error = TRIT_ERROR_INIT;

    CHECK(trit_verification_create(NULL, claim, NULL, NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_verification_create(&v, NULL, NULL, NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "claim");
    CHECK(trit_verification_steps(v, NULL, &error) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_verification_steps(NULL, NULL, NULL) == TRIT_INVALID_ARGUMENT);
    CHECK(trit_verification_add_report(v, "up.weight", NULL, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "report");
    CHECK(trit_verification_add_report(v, NULL, &report, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK(trit_verification_compare(v, "up.bias", NULL, &report, 4, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "latents");
    CHECK(trit_verification_result(NULL, NULL, NULL, &error) == TRIT_INVALID_ARGUMENT);
    trit_verification_free(v);
    trit_verification_free(NULL);
    trit_checkpoint_free(claim);
}

/* ---- matrices --------------------------------------------------------------------- */

static struct trit_checkpoint *experts_create(const char *name)
{
    const uint64_t shape[] = {3, 4, 128};
    struct trit_checkpoint *table = NULL;

    CHECK(trit_checkpoint_create(&table, NULL) == TRIT_OK);
    CHECK(trit_checkpoint_add_tensor(table, name, "F32", 3, shape, NULL) == TRIT_OK);
    return table;
}

CASE(experts_come_one_by_one, "each expert has a report, and findings name its number")
{
    struct trit_checkpoint *claim = experts_create("l.experts.up_proj");
    const struct trit_checkpoint_options options = {.size = sizeof(options),
                                                    .experts = TRIT_EXPERTS_IN_OUT};
    struct trit_verification *v = begun(claim, NULL, &options);
    struct trit_report report = report_create(false);
    const float data[512] = {0};
    struct trit_examined examined = {.size = sizeof(examined), .report = &report};
    json_t *json = steps_of(v);

    CHECK_EQ(digits_of(step_at(json, 0), "matrices"), 3);
    CHECK(json_is_true(json_object_get(step_at(json, 0), "transposed")));
    json_decref(json);
    examined.data = data;
    examined.data_bytes = sizeof(data);
    for (int i = 0; i < 3; i++) {
        report.is_ternary = i != 1;
        CHECK(trit_verification_result(v, NULL, NULL, NULL) == TRIT_FAILED_PRECONDITION);
        CHECK(trit_verification_add_matrix(v, "l.experts.up_proj", &examined, NULL) ==
              TRIT_OK);
    }
    CHECK(trit_verification_add_matrix(v, "l.experts.up_proj", &examined, NULL) ==
          TRIT_FAILED_PRECONDITION);
    json = result_of(v);
    CHECK_EQ(json_array_size(json_object_get(json, "findings")), 1);
    CHECK_STR(text_of(finding_at(json, 0), "layer"), "l.experts.up_proj[1]");
    CHECK_EQ(digits_of(json, "examined"), 3 * 4 * 128);
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(claim);
}

CASE(biases_are_checked, "a layer of mlx_2bit needs biases, and they must equal -scales")
{
    static const uint16_t scales[4] = {0x3c00, 0x3c00, 0x3c00, 0x3c00};
    uint16_t biases[4] = {0xbc00, 0xbc00, 0, 0xbc00};
    struct trit_checkpoint *claim = NULL;
    const struct trit_checkpoint_options options = {
        .size = sizeof(options),
        .config = "{\"quantization\": {\"bits\": 2, \"group_size\": 128}}"};
    const struct trit_report report = report_create(false);
    struct trit_examined examined = {.size = sizeof(examined),
                                     .report = &report,
                                     .scales = scales,
                                     .scale_bytes = sizeof(scales)};
    struct trit_error error = TRIT_ERROR_INIT;

    CHECK(trit_checkpoint_create(&claim, NULL) == TRIT_OK);
    add(claim, "up.weight", "U32", 4, 8);
    add(claim, "up.scales", "F16", 4, 1);
    add(claim, "up.biases", "F16", 4, 1);
    struct trit_verification *v = begun(claim, NULL, &options);
    CHECK(trit_verification_add_report(v, "up.weight", &report, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "scales");
    CHECK(trit_verification_add_matrix(v, "up.weight", &examined, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "biases");
    examined.biases = biases;
    examined.bias_bytes = 6;
    CHECK(trit_verification_add_matrix(v, "up.weight", &examined, &error) ==
          TRIT_INVALID_ARGUMENT);
    examined.bias_bytes = 8;
    CHECK(trit_verification_add_matrix(v, "up.weight", &examined, NULL) == TRIT_OK);
    json_t *json = result_of(v);
    CHECK_STR(text_of(finding_at(json, 0), "kind"), "not_ternary");
    CHECK_EQ(digits_of(finding_at(json, 0), "group"), 2);
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(claim);
}

CASE(mismatches_are_explained, "given the data of both sides, a mismatch is explained")
{
    struct trit_checkpoint *claim = pair_create(), *latents = pair_create();
    struct trit_verification *v = begun(claim, latents, NULL);
    struct trit_report report = report_create(true);
    static const float bias[8] = {0};
    float weights[1024], made[1024];
    const struct trit_examined examined = {.size = sizeof(examined),
                                           .report = &report,
                                           .data = made,
                                           .data_bytes = sizeof(made),
                                           .latents = weights,
                                           .latents_bytes = sizeof(weights)};

    for (size_t i = 0; i < 1024; i++)
        weights[i] = made[i] = i % 2 ? 1 : -1;
    made[3] = -1;
    report.finding_count = 1;
    report.findings[0].kind = TRIT_FINDING_CODES_DIFFER;
    report.findings[0].severity = TRIT_SEVERITY_ERROR;
    CHECK(trit_verification_add_matrix(v, "up.weight", &examined, NULL) == TRIT_OK);
    CHECK(trit_verification_compare(v, "up.bias", bias, bias, 32, NULL) == TRIT_OK);
    json_t *json = result_of(v);
    CHECK_STR(text_of(finding_at(json, 0), "hint"), "+1 -> -1: 1");
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(latents);
    trit_checkpoint_free(claim);
}

CASE(names_are_changed,
     "renames and prefixes pair tensors, and are refused without latents")
{
    static const char *const rules[] = {"down.*=up.*"}, *const broken[] = {"a=b=c"};
    static const char *const prefixes[] = {"module."};
    struct trit_checkpoint *claim = NULL, *latents = NULL;
    struct trit_checkpoint_options options = TRIT_CHECKPOINT_OPTIONS_INIT;
    struct trit_verification *v = NULL;
    struct trit_error error = TRIT_ERROR_INIT;

    CHECK(trit_checkpoint_create(&claim, NULL) == TRIT_OK);
    CHECK(trit_checkpoint_create(&latents, NULL) == TRIT_OK);
    add(claim, "down.weight", "F32", 8, 128);
    add(latents, "module.up.weight", "F32", 8, 128);
    options.rename = broken;
    options.rename_count = 1;
    CHECK(trit_verification_create(&v, claim, latents, &options, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "options.rename");
    options.rename = rules;
    CHECK(trit_verification_create(&v, claim, NULL, &options, &error) ==
          TRIT_INVALID_ARGUMENT);
    CHECK_STR(error.field, "rename");
    options.strip_prefix = prefixes;
    options.strip_prefix_count = 1;
    v = begun(claim, latents, &options);
    json_t *json = steps_of(v);
    CHECK_STR(text_of(step_at(json, 0), "check"), "projection");
    CHECK_STR(text_of(json_object_get(step_at(json, 0), "latents"), "name"),
              "module.up.weight");
    json_decref(json);
    trit_verification_free(v);
    trit_checkpoint_free(latents);
    trit_checkpoint_free(claim);
}
