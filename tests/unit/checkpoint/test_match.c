/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides of a comparison, and the findings that need no data. */
#include <stdio.h>
#include <string.h>

#include "checkpoint/findings.h"
#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

struct side {
    struct tensor_table table;
    struct record record;
    struct contents contents;
};

struct both {
    struct checkpoint_options options;
    struct side claim, latents;
    struct match match;
    struct file_findings findings;
};

static void both_init(struct both *both)
{
    *both = (struct both){.options = {.group_size = 0}};
    table_init(&both->claim.table);
    table_init(&both->latents.table);
    findings_init(&both->findings);
}

static void classify(struct both *both, struct side *side, enum contents_side as)
{
    seal(&side->table);
    if (as == CONTENTS_CLAIM)
        CHECK(record_read(&side->record, &side->table, NULL) == 0);
    const struct layer_terms terms = terms_of(&both->options, &both->claim.record);
    CHECK(contents_create(&side->contents, &both->options, as, &terms, &side->table,
                          &side->record, NULL) == 0);
}

static void compare(struct both *both)
{
    classify(both, &both->claim, CONTENTS_CLAIM);
    classify(both, &both->latents, CONTENTS_LATENTS);
    CHECK(match_create(&both->match, &both->options, &both->claim.contents,
                       &both->latents.contents, NULL) == 0);
    findings_add_contents(&both->findings, &both->options, &both->claim.contents,
                          &both->latents.contents, false);
    findings_add_match(&both->findings, &both->match, &both->claim.contents,
                       &both->latents.contents);
}

static void alone(struct both *both, bool accept_record)
{
    classify(both, &both->claim, CONTENTS_CLAIM);
    findings_add_contents(&both->findings, &both->options, &both->claim.contents, NULL,
                          accept_record);
}

static void both_fini(struct both *both)
{
    match_destroy(&both->match);
    findings_fini(&both->findings);
    contents_destroy(&both->claim.contents);
    contents_destroy(&both->latents.contents);
    record_fini(&both->claim.record);
    table_fini(&both->claim.table);
    table_fini(&both->latents.table);
}

/* Of the pair with this tensor on either side. */
static enum match_kind kind_of(const struct both *both, const char *name)
{
    for (size_t i = 0; i < both->match.count; i++) {
        const struct match_pair *pair = &both->match.pairs[i];
        const char *found = pair->claim != CONTENT_NONE
                                ? both->claim.table.entries[pair->claim].name
                                : both->latents.table.entries[pair->latents].name;

        if (strcmp(found, name) == 0)
            return pair->kind;
    }
    check_failed(__FILE__, __LINE__, "%s is in no pair", name);
}

static void says(const struct both *both, size_t index, const char *wanted)
{
    char text[FINDING_TEXT_BYTES];

    CHECK(index < both->findings.count);
    CHECK_STR(finding_text(text, &both->findings.list[index]), wanted);
}

CASE(accounts_for_every_tensor, "every tensor of either side is in exactly one pair")
{
    struct both both;

    both_init(&both);
    add(&both.claim.table, "a.weight", "F32", 4, 256, 0);
    add(&both.claim.table, "b.weight", "F32", 4, 256, 0);
    add(&both.claim.table, "c.weight", "F32", 4, 256, 0);
    add(&both.claim.table, "d.bias", "F32", 4, 0, 0);
    add(&both.claim.table, "e.bias", "F32", 4, 0, 0);
    add(&both.latents.table, "a.weight", "BF16", 4, 256, 0);
    add(&both.latents.table, "b.weight", "F32", 8, 128, 0);
    add(&both.latents.table, "d.bias", "F32", 4, 0, 0);
    add(&both.latents.table, "f.weight", "F32", 4, 256, 0);
    add(&both.latents.table, "g.bias", "F32", 4, 0, 0);
    compare(&both);
    CHECK_EQ(both.match.count, 7);
    CHECK_EQ(kind_of(&both, "a.weight"), MATCH_PROJECTION);
    CHECK_EQ(kind_of(&both, "b.weight"), MATCH_MISSING_LAYER);
    CHECK_EQ(kind_of(&both, "c.weight"), MATCH_EXTRA_LAYER);
    CHECK_EQ(kind_of(&both, "d.bias"), MATCH_BYTES);
    CHECK_EQ(kind_of(&both, "e.bias"), MATCH_EXTRA_TENSOR);
    CHECK_EQ(kind_of(&both, "f.weight"), MATCH_MISSING_LAYER);
    CHECK_EQ(kind_of(&both, "g.bias"), MATCH_MISSING_TENSOR);
    CHECK_EQ(findings_verdict(&both.findings), TRIT_VERDICT_FAIL);
    CHECK_EQ(both.findings.count, 5);
    says(&both, 0,
         "error: b.weight: missing_layer, expected F32 [8, 128], got F32 [4, 256]: the "
         "latents have it with another shape or type");
    says(&both, 1,
         "error: c.weight: extra_layer, got F32 [4, 256]: the file has it, but the "
         "latents lack it");
    says(
        &both, 3,
        "error: f.weight: missing_layer, expected F32 [4, 256]: the latents have it, but "
        "the file lacks it");
    both_fini(&both);
}

static void add_record(struct both *both, const char *names)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"encoding\":\"int8\",\"group_size\":128,\"partial_group\":\"padded\","
             "\"layers\":{%s}}",
             names);
    CHECK(table_add_pair(&both->claim.table, RECORD_KEY, text, NULL) == 0);
}

#define NOTE(name) "\"" name "\":{\"dtype\":\"F32\",\"shape\":[4,256]}"

/* Of a file that has no names there is one tensor. */
CASE(pairs_single_tensors_without_names,
     "two files with one unnamed tensor each are paired")
{
    for (int nameless = 0; nameless < 2; nameless++) {
        struct both both;

        both_init(&both);
        add(&both.claim.table, "out", "F32", 4, 256, 0);
        add(&both.latents.table, "in", "F32", 4, 256, 0);
        classify(&both, &both.claim, CONTENTS_CLAIM);
        classify(&both, &both.latents, CONTENTS_LATENTS);
        both.latents.contents.nameless = nameless;
        CHECK(match_create(&both.match, &both.options, &both.claim.contents,
                           &both.latents.contents, NULL) == 0);
        CHECK_EQ(both.match.count, nameless ? 1 : 2);
        CHECK_EQ(kind_of(&both, "out"), nameless ? MATCH_PROJECTION : MATCH_EXTRA_LAYER);
        both_fini(&both);
    }
}

CASE(checks_scales_with_their_layer, "scales are checked together with their layer")
{
    struct both both;

    both_init(&both);
    add(&both.claim.table, "a.weight", "I8", 4, 256, 0);
    add(&both.claim.table, "a.weight.scales", "F32", 4, 2, 0);
    add(&both.latents.table, "a.weight", "F32", 4, 256, 0);
    add_record(&both, NOTE("a.weight"));
    compare(&both);
    CHECK_EQ(kind_of(&both, "a.weight"), MATCH_PROJECTION);
    CHECK_EQ(kind_of(&both, "a.weight.scales"), MATCH_NO_STEP);
    CHECK_EQ(both.findings.count, 0);
    CHECK_EQ(findings_verdict(&both.findings), TRIT_VERDICT_PASS);
    both_fini(&both);
}

CASE(compares_what_the_record_leaves_out,
     "layers that the record omits are compared like any other tensor")
{
    for (int compared = 0; compared < 2; compared++) {
        struct both both;

        both_init(&both);
        add(&both.claim.table, "a.weight", "F32", 4, 256, 0);
        add(&both.latents.table, "a.weight", "F32", 4, 256, 0);
        add(&both.latents.table, "b.router.weight", "F32", 4, 256, 0);
        add_record(&both, NOTE("b.router.weight"));
        if (compared) {
            compare(&both);
            CHECK_EQ(kind_of(&both, "a.weight"), MATCH_BYTES);
            CHECK_EQ(both.findings.count, 1);
            says(&both, 0,
                 "error: b.router.weight: missing_layer, expected F32 [4, 256]: the "
                 "latents have it, but the file lacks it");
        } else {
            alone(&both, false);
            CHECK_EQ(both.findings.count, 2);
            CHECK_EQ(both.findings.list[0].finding.kind, TRIT_FINDING_KEPT_BY_RECORD);
            CHECK_EQ(both.findings.list[1].finding.kind, TRIT_FINDING_MISSING_LAYER);
        }
        both_fini(&both);
    }
}

CASE(accepts_the_record_where_told,
     "an incomplete record is accepted if the options allow it")
{
    for (int accept = 0; accept < 2; accept++) {
        struct both both;

        both_init(&both);
        add(&both.claim.table, "a.weight", "F32", 4, 256, 0);
        add_record(&both, "");
        alone(&both, accept);
        CHECK_EQ(findings_verdict(&both.findings),
                 accept ? TRIT_VERDICT_PASS : TRIT_VERDICT_INCONCLUSIVE);
        both_fini(&both);
    }
}

CASE(finds_what_cannot_be_checked,
     "weights packed by other tools and unknown types are inconclusive")
{
    struct both both;

    both_init(&both);
    add(&both.claim.table, "a.scales", "F16", 4, 2, 0);
    add(&both.claim.table, "a.weight", "U32", 4, 16, 0);
    add(&both.claim.table, "b.weight", "F64", 4, 16, 0);
    alone(&both, false);
    CHECK_EQ(both.findings.count, 2);
    says(&both, 0,
         "undecided: a.weight: foreign_packing, got U32 [4, 16]: packed as MLX, with the "
         "tables a.scales; it has no scales and biases whose shapes fit a number of "
         "bits");
    CHECK_EQ(both.findings.list[1].finding.kind, TRIT_FINDING_UNKNOWN_DTYPE);
    CHECK_EQ(findings_verdict(&both.findings), TRIT_VERDICT_INCONCLUSIVE);
    both_fini(&both);
}

/* A layer of the latents that somebody packed is there, if unread. */
CASE(leaves_foreign_weights_undecided,
     "a layer that another tool packed in the claim is inconclusive")
{
    struct both both;

    both_init(&both);
    add(&both.claim.table, "a.biases", "F16", 4, 2, 0);
    add(&both.claim.table, "a.scales", "F16", 4, 2, 0);
    add(&both.claim.table, "a.weight", "U32", 4, 16, 0);
    add(&both.claim.table, "b.qweight", "I32", 32, 64, 0);
    add(&both.claim.table, "b.qzeros", "I32", 2, 8, 0);
    add(&both.claim.table, "c.weight", "F64", 4, 16, 0);
    add(&both.latents.table, "a.weight", "F32", 4, 256, 0);
    add(&both.latents.table, "b.weight", "F32", 4, 256, 0);
    add(&both.latents.table, "c.weight", "F32", 4, 16, 0);
    compare(&both);
    for (size_t i = 0; i < both.match.count; i++)
        CHECK_EQ(both.match.pairs[i].kind, MATCH_NO_STEP);
    CHECK_EQ(both.findings.count, 3);
    CHECK_EQ(findings_verdict(&both.findings), TRIT_VERDICT_INCONCLUSIVE);
    both_fini(&both);
}

/* With a record, what is no layer by the rules is no claim either. */
CASE(compares_unknown_types_in_a_file_with_a_record,
     "in a file with a record, unknown types are compared like any other tensor")
{
    for (int latents = 0; latents < 2; latents++)
        for (int accept = 0; accept < 2; accept++) {
            struct both both;

            both_init(&both);
            add(&both.claim.table, "a.weight", "F64", 4, 256, 0);
            add(&both.latents.table, "a.weight", "F64", 4, 256, 0);
            add_record(&both, "");
            if (latents)
                compare(&both);
            else
                alone(&both, accept);
            if (latents)
                CHECK_EQ(kind_of(&both, "a.weight"), MATCH_BYTES);
            CHECK_EQ(findings_verdict(&both.findings),
                     latents || accept ? TRIT_VERDICT_PASS : TRIT_VERDICT_INCONCLUSIVE);
            both_fini(&both);
        }
}

CASE(compares_packed_weights_with_packed_weights,
     "packed weights are compared byte for byte if both sides have them")
{
    struct both both;

    both_init(&both);
    for (int side = 0; side < 2; side++) {
        struct tensor_table *table = side ? &both.latents.table : &both.claim.table;

        add(table, "a.scales", "F16", 4, 2, 0);
        add(table, "a.weight", "U32", 4, 16, 0);
    }
    add(&both.claim.table, "b.qweight", "I32", 32, 64, 0);
    add(&both.claim.table, "b.qzeros", "I32", 2, 8, 0);
    compare(&both);
    CHECK_EQ(kind_of(&both, "a.scales"), MATCH_BYTES);
    CHECK_EQ(kind_of(&both, "a.weight"), MATCH_BYTES);
    CHECK_EQ(kind_of(&both, "b.qweight"), MATCH_EXTRA_TENSOR);
    CHECK_EQ(findings_verdict(&both.findings), TRIT_VERDICT_FAIL);
    both_fini(&both);
}

CASE(keeps_long_hints_whole, "a hint names every table, whatever the length of the names")
{
    char stem[200], name[256], text[FINDING_TEXT_BYTES];
    struct both both;

    both_init(&both);
    memset(stem, 'x', sizeof(stem) - 1);
    stem[sizeof(stem) - 1] = '\0';
    snprintf(name, sizeof(name), "%s.weight", stem);
    add(&both.claim.table, name, "U32", 4, 16, 0);
    snprintf(name, sizeof(name), "%s.scales", stem);
    add(&both.claim.table, name, "F16", 4, 2, 0);
    snprintf(name, sizeof(name), "%s.biases", stem);
    add(&both.claim.table, name, "F16", 4, 2, 0);
    alone(&both, false);
    finding_text(text, &both.findings.list[0]);
    CHECK(strstr(text, name));
    CHECK(strstr(text, ".scales, "));
    both_fini(&both);
}

/* ---- reports ---------------------------------------------------------------------- */

CASE(takes_a_reports_findings, "the findings of a report become findings of the file")
{
    struct trit_report report = {.is_ternary = true, .elements = 4, .zeros = 1};
    struct file_findings findings;

    findings_init(&findings);
    findings_add_report(&findings, "l", &report, false);
    CHECK_EQ(findings.count, 0);
    report.finding_count = 1;
    report.findings[0] = (struct trit_finding){.kind = TRIT_FINDING_SCALE_NEGATIVE,
                                               .severity = TRIT_SEVERITY_ERROR,
                                               .has_group = true,
                                               .group = 7};
    findings_add_report(&findings, "l", &report, false);
    CHECK_EQ(findings.count, 1);
    CHECK_STR(findings.list[0].layer, "l");
    CHECK_EQ(findings.list[0].finding.group, 7);
    CHECK_EQ(findings_verdict(&findings), TRIT_VERDICT_FAIL);
    findings_fini(&findings);
}

/* A daemon of an earlier version sends reports without findings. */
CASE(finds_by_the_fields_of_a_report_without_findings,
     "the verdict on a report without findings is derived from its fields")
{
    struct trit_report report = {.is_ternary = false, .elements = 4, .zeros = 1};
    struct file_findings findings;

    findings_init(&findings);
    findings_add_report(&findings, "l", &report, false);
    CHECK_EQ(findings.list[0].finding.kind, TRIT_FINDING_NOT_TERNARY);
    report.non_finite = 2;
    findings_add_report(&findings, "l", &report, false);
    CHECK_EQ(findings.list[1].finding.kind, TRIT_FINDING_NON_FINITE);
    report = (struct trit_report){.is_ternary = true,
                                  .elements = 4,
                                  .has_reference = true,
                                  .reference_mismatches = 3,
                                  .first_mismatch = 1};
    findings_add_report(&findings, "l", &report, false);
    CHECK_EQ(findings.list[2].finding.kind, TRIT_FINDING_CODES_DIFFER);
    CHECK_EQ(findings.list[2].finding.count, 3);
    findings_fini(&findings);
}

CASE(allows_dead_layers_where_told, "a layer of zeros fails unless the options allow it")
{
    struct trit_report report = {.is_ternary = true, .elements = 4, .zeros = 4};

    for (int allow = 0; allow < 2; allow++) {
        struct file_findings findings;

        findings_init(&findings);
        findings_add_report(&findings, "l", &report, allow);
        CHECK_EQ(findings.count, 1);
        CHECK_EQ(findings.list[0].finding.kind, TRIT_FINDING_DEAD_LAYER);
        CHECK_EQ(findings_verdict(&findings),
                 allow ? TRIT_VERDICT_PASS : TRIT_VERDICT_FAIL);
        findings_fini(&findings);
    }
}

CASE(never_passes_what_it_lost, "a file does not pass if one of its findings was lost")
{
    struct file_findings findings;

    findings_init(&findings);
    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(!findings_add(&findings, TRIT_FINDING_EXTRA_TENSOR, "l", NULL));
    CHECK(fault_disarm());
    CHECK(findings.lost);
    CHECK_EQ(findings_verdict(&findings), TRIT_VERDICT_FAIL);
    findings_fini(&findings);
}
