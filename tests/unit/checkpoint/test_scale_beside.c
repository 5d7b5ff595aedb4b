/* SPDX-License-Identifier: Apache-2.0 */
/* Dense weights whose scale is in a tensor of its own. */
#include "checkpoint/scale_beside.h"

#include <math.h>
#include <string.h>

#include "checkpoint/plan_pack.h"
#include "tests/unit/checkpoint/tables.h"

struct claim {
    struct tensor_table table;
    struct contents contents;
    struct file_findings findings;
};

/* `arg`: the values of any tensor. */
static int give(void *arg, const struct tensor_entry *entry, void *values, size_t bytes)
{
    (void)entry;
    memcpy(values, arg, bytes);
    return 0;
}

static int give_none(void *arg, const struct tensor_entry *entry, void *values,
                     size_t bytes)
{
    (void)arg, (void)entry, (void)values, (void)bytes;
    return -1;
}

static void claim_init(struct claim *claim, const char *scale, uint64_t rows,
                       uint64_t columns)
{
    *claim = (struct claim){.contents = {.items = NULL}};
    table_init(&claim->table);
    findings_init(&claim->findings);
    add(&claim->table, "a.q_proj.weight", "F32", 8, 128, 0);
    add(&claim->table, scale, "F32", rows, columns, 0);
}

static size_t judge(struct claim *claim, const struct checkpoint_options *options)
{
    const struct layer_terms terms = {.group_size = 128};

    seal(&claim->table);
    CHECK(contents_create(&claim->contents, options, CONTENTS_CLAIM, &terms,
                          &claim->table, NULL, NULL) == 0);
    findings_add_contents(&claim->findings, options, &claim->contents, NULL, false);
    return claim->findings.count;
}

static void claim_fini(struct claim *claim)
{
    findings_fini(&claim->findings);
    contents_destroy(&claim->contents);
    table_fini(&claim->table);
}

CASE(judges_the_scale, "a scale beside a layer must be finite and above 0")
{
    static const struct {
        float scale;
        enum trit_finding_kind kind;
    } cases[] = {
        {NAN, TRIT_FINDING_SCALE_NON_FINITE},
        {INFINITY, TRIT_FINDING_SCALE_NON_FINITE},
        {-INFINITY, TRIT_FINDING_SCALE_NON_FINITE},
        {-.5f, TRIT_FINDING_SCALE_NEGATIVE},
        {0, TRIT_FINDING_SCALE_ZERO_UNDER_CODES},
        {-0.0f, TRIT_FINDING_SCALE_ZERO_UNDER_CODES},
    };
    static const char *const names[] = {"a.q_proj.weight_scale",
                                        "a.q_proj.weight_scale_inv"};
    float scale = .5f;
    const struct checkpoint_options options = {.read_small = give, .read_arg = &scale};
    struct claim claim;

    claim_init(&claim, names[0], 1, 0);
    CHECK_EQ(judge(&claim, &options), 0);
    CHECK_EQ(claim.contents.layers, 1);
    CHECK_EQ(claim.contents.items[1].kind, CONTENT_FOREIGN_TABLE);
    claim_fini(&claim);
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        claim_init(&claim, names[i % 2], 1, 0);
        scale = cases[i / 2].scale;
        CHECK_EQ(judge(&claim, &options), 1);
        CHECK_EQ(claim.findings.list[0].finding.kind, cases[i / 2].kind);
        CHECK_STR(claim.findings.list[0].layer, "a.q_proj.weight");
        CHECK_STR(claim.findings.list[0].tensor, names[i % 2]);
        claim_fini(&claim);
    }
}

CASE(
    leaves_others_open,
    "a layer is undecided if the tensor beside it is not one scale, or cannot be read, or "
    "there are latents")
{
    float scale = .5f;
    struct checkpoint_options options = {.read_small = give, .read_arg = &scale};
    static const uint64_t shapes[][2] = {{8, 1}, {1, 128}, {8, 0}, {8, 128}};
    struct claim claim;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        claim_init(&claim, "a.q_proj.weight_scale", shapes[i][0], shapes[i][1]);
        CHECK_EQ(judge(&claim, &options), 1);
        CHECK_EQ(claim.findings.list[0].finding.kind, TRIT_FINDING_FOREIGN_PACKING);
        CHECK_EQ(findings_verdict(&claim.findings), TRIT_VERDICT_INCONCLUSIVE);
        claim_fini(&claim);
    }
    claim_init(&claim, "a.q_proj.weight_scale", 1, 0);
    CHECK_EQ(judge(&claim, &options), 0);
    findings_add_scale_beside(&claim.findings, &options, &claim.contents, true, 0);
    CHECK_EQ(findings_verdict(&claim.findings), TRIT_VERDICT_INCONCLUSIVE);
    claim_fini(&claim);
    options.read_small = give_none;
    claim_init(&claim, "a.q_proj.weight_scale", 1, 0);
    CHECK_EQ(judge(&claim, &options), 1);
    CHECK_EQ(findings_verdict(&claim.findings), TRIT_VERDICT_INCONCLUSIVE);
    claim_fini(&claim);
}

CASE(reads_llama_cpps,
     "llama.cpp's NAME.scale beside a layer is judged, one for each expert too")
{
    float scales[4] = {.5f, .5f, .5f, -1};
    const struct checkpoint_options options = {.read_small = give, .read_arg = scales};

    for (uint64_t count = 3; count <= 4; count++) {
        struct claim claim;

        claim_init(&claim, "a.q_proj.scale", count, 0);
        claim.table.format = "gguf";
        CHECK_EQ(judge(&claim, &options), count == 4);
        claim_fini(&claim);
    }
}

CASE(packs_nothing_without_it,
     "a layer with a scale beside it is not packed, which would lose it")
{
    const struct pack_target target = {.encoding = TRIT_ENCODING_PQ2_0};
    const struct checkpoint_options options = {.group_size = 0};
    struct record record = {.layers = NULL};
    struct claim claim;
    struct plan plan;

    claim_init(&claim, "a.q_proj.weight_scale", 1, 0);
    seal(&claim.table);
    CHECK(plan_create_pack(&plan, &options, &target, &claim.table, &record, NULL) == 0);
    CHECK_EQ(plan.refused, 1);
    CHECK_STR(plan.items[0].reason, scale_beside_refusal);
    plan_destroy(&plan);
    claim_fini(&claim);
}
