/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of hostile names and without memory; pairs whose names differ; plans as JSON. */
#include "checkpoint/findings.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/plan_json.h"
#include "checkpoint/renamed.h"
#include "tests/lib/digits.h"
#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

struct both {
    struct tensor_table claim_table, latents_table;
    struct record record;
    struct contents claim, latents;
    struct match match;
    struct file_findings findings;
};

static void both_init(struct both *both)
{
    *both = (struct both){.record = {.layers = NULL}};
    table_init(&both->claim_table);
    table_init(&both->latents_table);
    findings_init(&both->findings);
}

/* All of a comparison that needs no data; -1 where a step fails. */
static int compare(struct both *both)
{
    const struct checkpoint_options options = {.group_size = 0};

    if (record_read(&both->record, &both->claim_table, NULL) < 0)
        return -1;
    const struct layer_terms terms = terms_of(&options, &both->record);
    if (contents_create(&both->claim, &options, CONTENTS_CLAIM, &terms,
                        &both->claim_table, &both->record, NULL) < 0 ||
        contents_create(&both->latents, &options, CONTENTS_LATENTS, &terms,
                        &both->latents_table, NULL, NULL) < 0 ||
        match_create(&both->match, &options, &both->claim, &both->latents, NULL) < 0)
        return -1;
    match_find_renamed(&both->match, &both->claim, &both->latents);
    findings_add_contents(&both->findings, &options, &both->claim, &both->latents, false);
    findings_add_match(&both->findings, &both->match, &both->claim, &both->latents);
    return 0;
}

static void both_reset(struct both *both)
{
    match_destroy(&both->match);
    findings_fini(&both->findings);
    contents_destroy(&both->claim);
    contents_destroy(&both->latents);
    record_fini(&both->record);
}

static void both_fini(struct both *both)
{
    both_reset(both);
    table_fini(&both->claim_table);
    table_fini(&both->latents_table);
}

static void add_claim(struct both *both, const char *name, uint64_t rows)
{
    add(&both->claim_table, name, "F32", rows, 256, 0);
}

static void add_latents(struct both *both, const char *name, uint64_t rows)
{
    add(&both->latents_table, name, "F32", rows, 256, 0);
}

static void compare_sealed(struct both *both)
{
    seal(&both->claim_table);
    seal(&both->latents_table);
    CHECK(compare(both) == 0);
}

static size_t count_of(const struct both *both, enum match_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < both->match.count; i++)
        count += both->match.pairs[i].kind == kind;
    return count;
}

/* ---- pairs whose names differ -------------------------------------------------------- */

CASE(prefixes, "a prefix on one side is found, and the option that strips it is named")
{
    static const char *const prefixes[] = {"_orig_mod.", "module.", "a.b.c."};

    for (size_t i = 0; i < 6; i++) {
        char name[64], hint[64];
        struct both both;

        both_init(&both);
        for (size_t k = 0; k < 2; k++) {
            snprintf(name, sizeof(name), "%sl.%zu.weight", prefixes[i / 2], k);
            add(i % 2 ? &both.claim_table : &both.latents_table, name, "F32", 4, 256, 0);
            snprintf(name, sizeof(name), "l.%zu.weight", k);
            add(i % 2 ? &both.latents_table : &both.claim_table, name, "F32", 4, 256, 0);
        }
        compare_sealed(&both);
        CHECK_EQ(count_of(&both, MATCH_RENAMED), 2);
        CHECK_EQ(both.findings.count, 2);
        snprintf(hint, sizeof(hint), "--strip-prefix '%s' compares them",
                 prefixes[i / 2]);
        CHECK(strstr(both.findings.list[0].finding.hint, hint));
        CHECK_EQ(findings_verdict(&both.findings), TRIT_VERDICT_FAIL);
        both_fini(&both);
    }
}

CASE(only_of_a_form, "two unmatched tensors are paired if no others have their form")
{
    struct both both;

    both_init(&both);
    add_claim(&both, "x.weight", 4);
    add_latents(&both, "y.weight", 4);
    add_claim(&both, "u.weight", 8);
    add_claim(&both, "v.weight", 8);
    add_latents(&both, "w.weight", 8);
    compare_sealed(&both);
    CHECK_EQ(count_of(&both, MATCH_RENAMED), 1);
    CHECK_EQ(count_of(&both, MATCH_EXTRA_LAYER), 2);
    CHECK_EQ(count_of(&both, MATCH_MISSING_LAYER), 1);
    CHECK(strstr(both.findings.list[0].finding.hint,
                 "--rename 'x.weight=y.weight' compares them"));
    both_fini(&both);
}

CASE(other_forms, "a tensor of another shape is not a renamed tensor")
{
    struct both both;

    both_init(&both);
    add_claim(&both, "module.l.weight", 4);
    add_latents(&both, "l.weight", 8);
    compare_sealed(&both);
    CHECK_EQ(count_of(&both, MATCH_RENAMED), 0);
    CHECK_EQ(both.findings.count, 2);
    both_fini(&both);
}

/* ---- hostile names -------------------------------------------------------------------- */

/* Two bytes a character, behind a text that puts the characters at odd places. */
static void long_name(char name[FILES_NAME_BYTES_MAX + 1], const char *begin)
{
    size_t length = strlen(begin);

    strcpy(name, begin);
    for (; length + 2 <= FILES_NAME_BYTES_MAX; length += 2)
        strcpy(name + length, "\xc3\xa4");
}

CASE(long_names, "findings hold names of 1024 bytes without truncation, also as JSON")
{
    static const char *const begins[] = {"", "x"};

    for (size_t i = 0; i < 2; i++) {
        char left[FILES_NAME_BYTES_MAX + 1], right[FILES_NAME_BYTES_MAX + 1];
        char text[FINDING_TEXT_BYTES];
        struct both both;

        both_init(&both);
        long_name(left, begins[i]);
        long_name(right, i ? "y" : "yy");
        add_claim(&both, left, 4);
        add_latents(&both, right, 4);
        compare_sealed(&both);
        CHECK_EQ(both.findings.count, 1);
        CHECK_EQ(both.findings.list[0].finding.kind, TRIT_FINDING_RENAMED);
        CHECK(strstr(finding_text(text, &both.findings.list[0]), left));
        json_t *json = findings_json(&both.findings);
        CHECK(json);
        json_decref(json);
        both_fini(&both);
    }
}

/* ---- without memory ------------------------------------------------------------------ */

static void fail_each(void (*fill)(struct both *both))
{
    struct both both;
    uint64_t n = 1;

    both_init(&both);
    fill(&both);
    seal(&both.claim_table);
    seal(&both.latents_table);
    json_set_alloc_funcs(fault_malloc, free);
    for (;; n++) {
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        const int result = compare(&both);
        const bool hit = fault_disarm();
        if (result == 0)
            CHECK_EQ(findings_verdict(&both.findings), TRIT_VERDICT_FAIL);
        CHECK(hit || result == 0);
        both_reset(&both);
        findings_init(&both.findings);
        if (!hit)
            break;
        CHECK(n < 1000);
    }
    json_set_alloc_funcs(malloc, free);
    both_fini(&both);
    CHECK(n > 10);
}

static void fill_renamed(struct both *both)
{
    add_claim(both, "module.l.weight", 4);
    add_latents(both, "l.weight", 4);
}

static void fill_missing(struct both *both)
{
    add_claim(both, "a.weight", 4);
    add_latents(both, "a.weight", 4);
    add_latents(both, "b.weight", 4);
}

static void fill_extra(struct both *both)
{
    add_claim(both, "a.weight", 4);
    add_claim(both, "a.bias.x", 8);
    add_latents(both, "a.weight", 4);
}

static void fill_unfit(struct both *both)
{
    add(&both->claim_table, "l.weight", "F32", 4, 512, 0);
    CHECK(table_add_pair(&both->claim_table, RECORD_KEY,
                         "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":"
                         "\"padded\",\"layers\":{\"l.weight\":{\"dtype\":\"F32\","
                         "\"shape\":[4,256]}}}",
                         NULL) == 0);
    add_latents(both, "l.weight", 4);
}

static void fill_scales(struct both *both)
{
    add(&both->claim_table, "l.weight", "I8", 4, 256, 0);
    CHECK(table_add_pair(&both->claim_table, RECORD_KEY,
                         "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":"
                         "\"padded\",\"layers\":{\"l.weight\":{\"dtype\":\"F32\","
                         "\"shape\":[4,256]}}}",
                         NULL) == 0);
    add_latents(both, "l.weight", 4);
}

CASE(no_wrong_pass, "a failed allocation never turns a fail into a pass")
{
    fail_each(fill_renamed);
    fail_each(fill_missing);
    fail_each(fill_extra);
    fail_each(fill_unfit);
    fail_each(fill_scales);
}

CASE(reports_without_memory,
     "a file fails if memory ran out while its report's findings were stored")
{
    const struct trit_report reports[] = {
        {.finding_count = 1,
         .findings = {{.kind = TRIT_FINDING_CODES_DIFFER,
                       .severity = TRIT_SEVERITY_ERROR}}},
        {.is_ternary = false, .elements = 4},
        {.is_ternary = true, .elements = 4, .zeros = 4},
    };

    for (size_t i = 0; i < 3; i++)
        for (uint64_t n = 1;; n++) {
            struct file_findings findings;

            findings_init(&findings);
            fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
            findings_add_report(&findings, "l", &reports[i], false);
            const bool hit = fault_disarm();
            CHECK_EQ(findings_verdict(&findings), TRIT_VERDICT_FAIL);
            findings_fini(&findings);
            if (!hit)
                break;
        }
}

static json_t *make_findings(const void *findings)
{
    return findings_json(findings);
}

static json_t *make_plan(const void *plan)
{
    return plan_json(plan);
}

/* If any one allocation fails, `make` gives the whole JSON or none. */
static void check_without_memory(json_t *(*make)(const void *subject),
                                 const void *subject, const json_t *wanted)
{
    json_t *json;

    json_set_alloc_funcs(fault_malloc, free);
    for (uint64_t n = 1;; n++) {
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        json = make(subject);
        if (!fault_disarm())
            break;
        CHECK(!json || json_equal(json, wanted));
        json_decref(json);
    }
    CHECK(json_equal(json, wanted));
    json_decref(json);
    json_set_alloc_funcs(malloc, free);
}

CASE(json_without_memory,
     "if memory runs out, there is no JSON rather than incomplete JSON")
{
    struct file_findings findings;
    json_t *wanted;

    findings_init(&findings);
    struct trit_finding *added =
        findings_add(&findings, TRIT_FINDING_CODES_DIFFER, "l", NULL);
    CHECK(added);
    *added = (struct trit_finding){.kind = TRIT_FINDING_CODES_DIFFER,
                                   .severity = TRIT_SEVERITY_ERROR,
                                   .has_index = true,
                                   .index = UINT64_MAX,
                                   .has_count = true,
                                   .count = 3,
                                   .expected = "1",
                                   .got = "0"};
    CHECK(findings_add(&findings, TRIT_FINDING_EXTRA_TENSOR, NULL, "t"));
    wanted = findings_json(&findings);
    CHECK(json_array_size(wanted) == 2);
    check_without_memory(make_findings, &findings, wanted);
    json_decref(wanted);
    findings_fini(&findings);
}

/* ---- plans as JSON -------------------------------------------------------------------- */

CASE(plan_as_json,
     "a plan's JSON says what happens to each tensor; without memory there is no JSON")
{
    const char *const transposed[] = {"t.weight"};
    const struct checkpoint_options options = {
        .has_encoding = true,
        .encoding = TRIT_ENCODING_INT8,
        .experts = EXPERTS_OUT_IN,
        .transposed = {transposed, 1},
    };
    struct tensor_table input;
    struct plan plan;

    table_init(&input);
    add(&input, "t.weight", "F32", 256, 4, 0);
    add(&input, "m.experts.down_proj", "F32", 2, 4, 256);
    add(&input, "n.norm.weight", "F32", 4, 0, 0);
    CHECK(table_add_pair(&input, "k", "v", NULL) == 0);
    seal(&input);
    CHECK(plan_create(&plan, &options, false, &input, NULL) == 0);
    json_t *wanted = plan_json(&plan);
    const json_t *tensors = json_object_get(wanted, "tensors");
    const json_t *one = json_array_get(tensors, index_of(&input, "t.weight"));
    CHECK_EQ(json_array_size(tensors), 3);
    CHECK_STR(json_string_value(json_object_get(one, "action")), "ternarize");
    CHECK(json_is_true(json_object_get(one, "transposed")));
    CHECK_EQ(json_digits(json_object_get(one, "groups")), 8);
    CHECK_EQ(json_array_size(json_object_get(one, "outputs")), 2);
    one = json_array_get(tensors, index_of(&input, "m.experts.down_proj"));
    CHECK_EQ(json_digits(json_object_get(one, "matrices")), 2);
    CHECK_EQ(json_digits(json_object_get(one, "groups")), 16);
    one = json_array_get(tensors, index_of(&input, "n.norm.weight"));
    CHECK_STR(json_string_value(json_object_get(one, "action")), "keep");
    CHECK_STR(
        json_string_value(json_object_get(json_object_get(wanted, "metadata"), "k")),
        "v");
    check_without_memory(make_plan, &plan, wanted);
    json_decref(wanted);
    plan_destroy(&plan);
    table_fini(&input);
}
