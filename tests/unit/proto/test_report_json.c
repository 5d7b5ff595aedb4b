/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/report_json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"
#include "tests/lib/proto_samples.h"

CASE(whole_report, "a report becomes JSON with the names of the design, in order")
{
    static const char expected[] =
        "{\"run\":\"l\xc3\xa4uft-1\",\"layer\":\"blk.0.ffn_up\",\"step\":\"1099511627776\","
        "\"time_unix_ns\":\"1700000000123456789\",\"dtype\":\"bf16\",\"shape\":[\"300\",\"1\"],"
        "\"group_size\":128,\"groups\":\"300\",\"elements\":\"300\",\"is_ternary\":true,"
        "\"fraction_valid\":0.75,\"max_round_error\":1.25e-6,"
        "\"sample_values\":[-1.0,0.0,null],\"negatives\":\"100\",\"zeros\":\"150\","
        "\"positives\":\"50\",\"zero_fraction\":0.5,\"zero_groups\":\"3\",\"non_finite\":\"1\","
        "\"scale_min\":0.125,\"scale_mean\":0.3,\"scale_max\":2.5,"
        "\"scales_lossy_fp16\":\"17\",\"mse\":0.0,\"cosine\":-0.0,\"sqnr_db\":null,"
        "\"previous_step\":\"0\",\"flips\":\"9\",\"flip_fraction\":0.03,"
        "\"transitions\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"8589934592\"],"
        "\"near_threshold_fraction\":0.0625,\"reference_mismatches\":\"2\","
        "\"first_mismatch\":\"0\","
        "\"digest\":\"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\","
        "\"kernel\":\"avx512\",\"version\":\"0.1.0\",\"findings\":["
        "{\"kind\":\"not_ternary\",\"severity\":\"error\",\"index\":\"34359738368\","
        "\"expected\":\"-1, 0 or 1\",\"got\":\"0.5\",\"count\":\"7\","
        "\"hint\":\"project it again\"},"
        "{\"kind\":\"dead_groups\",\"severity\":\"warning\",\"group\":\"0\"}],"
        "\"stored\":true,\"shard\":{\"global_shape\":[\"600\",\"1\"],\"offset\":[\"300\",\"0\"]},"
        "\"shards_present\":3,\"shards_expected\":1048576,"
        "\"attempt\":2,\"replica\":1048576,\"superseded\":true,\"health\":\"failing\","
        "\"health_reasons\":[{\"rule\":\"scale_drift\",\"severity\":\"failing\","
        "\"since_step\":\"8589934592\",\"value\":0.5,\"threshold\":0.25,"
        "\"text\":\"scales grew\"}]}";
    struct trit_report report = sample_report();
    json_t *json = report_json(&report);
    CHECK(json);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(json);
    CHECK(text);
    CHECK_STR(text, expected);
    free(text);
}

CASE(absent_fields, "an absent value is null")
{
    static const char *const absent[] = {
        "mse",           "cosine",        "sqnr_db",        "previous_step",
        "flips",         "flip_fraction", "transitions",    "reference_mismatches",
        "zero_fraction", "dtype",         "first_mismatch", "scale_min",
        "scale_mean",    "scale_max"};
    struct trit_report report = {.run = "r"};
    json_t *json = report_json(&report);
    CHECK(json);
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        CHECK(json_is_null(json_object_get(json, absent[i])));
    CHECK_EQ(json_object_size(json), 37);
    json_decref(json);
}

CASE(no_mismatch, "without mismatches the first mismatch is null")
{
    struct trit_report report = sample_report();
    report.reference_mismatches = 0;
    json_t *json = report_json(&report);
    CHECK_STR(json_string_value(json_object_get(json, "reference_mismatches")), "0");
    CHECK(json_is_null(json_object_get(json, "first_mismatch")));
    json_decref(json);
}

CASE(not_numbers, "infinities and NaN become null")
{
    struct trit_report report = sample_report();
    report.sqnr_db = -INFINITY;
    report.scale_mean = NAN;
    json_t *json = report_json(&report);
    CHECK(json_is_null(json_object_get(json, "sqnr_db")));
    CHECK(json_is_null(json_object_get(json, "scale_mean")));
    json_decref(json);
}

CASE(dtype_names, "dtypes have their short names, an unknown one is null")
{
    static const char *const names[] = {"f32", "f16", "bf16", "i8", "u8"};
    struct trit_report report = {0};
    for (uint32_t i = 0; i < 5; i++) {
        report.dtype = (enum trit_dtype)(TRIT_F32 + i);
        json_t *json = report_json(&report);
        CHECK_STR(json_string_value(json_object_get(json, "dtype")), names[i]);
        json_decref(json);
    }
    report.dtype = (enum trit_dtype)77;
    json_t *json = report_json(&report);
    CHECK(json_is_null(json_object_get(json, "dtype")));
    json_decref(json);
}

CASE(without_memory, "if memory runs out, the result is NULL and nothing leaks")
{
    struct trit_report report = sample_report();
    uint64_t n = 1;
    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        json_t *json = report_json(&report);
        bool failed = fault_disarm();
        CHECK_EQ(!json, failed);
        json_decref(json);
        if (!failed)
            break;
    }
    json_set_alloc_funcs(malloc, free);
    CHECK(n > 40);
}
