/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices decoded from their encodings, how two of them differ, and why. */
#include "checkpoint/layer_diff.h"

#include <math.h>
#include <string.h>

#include "checkpoint/explain.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

enum { ROWS = 4, COLUMNS = 256, GROUP = 128, ELEMENTS = ROWS * COLUMNS };

static struct encoded_matrix dense_f32(const float *values, uint64_t rows,
                                       uint64_t columns)
{
    return (struct encoded_matrix){
        .rows = rows,
        .columns = columns,
        .terms = {.encoding = TRIT_ENCODING_DENSE, .group_size = GROUP},
        .dtype = TRIT_F32,
        .data = values};
}

static bool decode(const struct encoded_matrix *matrix, float *values)
{
    struct kernels_env env;

    kernels_enter(&env);
    const bool legal =
        matrix_decode(kernels_select(NULL), matrix, 0, matrix->rows, values);
    kernels_leave(&env);
    return legal;
}

CASE(decodes_dense, "dense values of each type are converted to f32")
{
    const float f32[] = {0.5f, -2, 0, 1};
    const uint16_t f16[] = {0x3800, 0xc000, 0, 0x3c00};
    const uint16_t bf16[] = {0x3f00, 0xc000, 0, 0x3f80};
    struct encoded_matrix matrix = dense_f32(f32, 2, 2);
    float values[4];

    CHECK(decode(&matrix, values));
    CHECK_MEM(values, f32, sizeof(f32));
    CHECK_EQ(matrix_held_type(&matrix), TRIT_F32);
    matrix.dtype = TRIT_F16;
    matrix.data = f16;
    CHECK(decode(&matrix, values));
    CHECK_MEM(values, f32, sizeof(f32));
    matrix.dtype = TRIT_BF16;
    matrix.data = bf16;
    CHECK(decode(&matrix, values));
    CHECK_MEM(values, f32, sizeof(f32));
    CHECK_EQ(matrix_held_type(&matrix), TRIT_BF16);
}

CASE(decodes_int8, "int8 codes are multiplied by the scale of their group")
{
    static int8_t codes[2 * 130];
    static float values[2 * 130];
    const float scales[] = {1, 2, 3, 4};
    struct encoded_matrix matrix = {
        .rows = 2,
        .columns = 130,
        .terms = {.encoding = TRIT_ENCODING_INT8, .group_size = GROUP},
        .data = codes,
        .scales = scales,
        .scales_dtype = TRIT_F32};

    memset(codes, 0, sizeof(codes));
    codes[0] = 1;
    codes[129] = -1;
    codes[130] = -1;
    codes[259] = 1;
    CHECK(decode(&matrix, values));
    CHECK(values[0] == 1 && values[129] == -2 && values[130] == -3 && values[259] == 4);
    CHECK(values[1] == 0 && values[128] == 0);
    codes[7] = 2;
    CHECK(!decode(&matrix, values));
}

CASE(decodes_bitnet,
     "hf_bitnet stores four rows in a byte and one scale; the code 3 is illegal")
{
    uint8_t bytes[4]; /* 8 rows of 2 columns: row r is bits of byte r % 2 */
    const float scale = 0.5f;
    float values[16];
    struct encoded_matrix matrix = {.rows = 8,
                                    .columns = 2,
                                    .terms = {.encoding = TRIT_ENCODING_HF_BITNET},
                                    .data = bytes,
                                    .scales = &scale,
                                    .scales_dtype = TRIT_F32};

    memset(bytes, 0x55, sizeof(bytes)); /* all codes 1: zero */
    bytes[0] = 0x55 ^ 0x01 ^ 0x02;      /* row 0, column 0: 2 */
    bytes[3] = 0x15;                    /* row 7, column 1: 0 */
    CHECK(decode(&matrix, values));
    CHECK(values[0] == 0.5f && values[15] == -0.5f && values[1] == 0 && values[14] == 0);
    bytes[1] = 0xd5;
    CHECK(!decode(&matrix, values));
}

/* ---- differences ------------------------------------------------------------------- */

CASE(equal_matrices, "equal matrices have no difference, and -0 is 0")
{
    const float a[] = {1, 0, -2, 0}, b[] = {1, -0.0f, -2, 0};
    struct encoded_matrix left = dense_f32(a, 2, 2), right = dense_f32(b, 2, 2);
    struct layer_diff diff;

    CHECK(layer_diff(&diff, &left, &right, NULL) == 0);
    CHECK_EQ(diff.elements, 4);
    CHECK_EQ(diff.codes_differing, 0);
    CHECK_EQ(diff.magnitudes_differing, 0);
    CHECK(!diff.has_first && diff.scale_ratio_max == 1);
    CHECK_EQ(diff.transitions[1][1], 2);
    CHECK_EQ(diff.transitions[0][0], 1);
}

CASE(different_matrices, "changed codes and changed scales are counted")
{
    const float a[] = {1, 0, -2, 4, 1, 8}, b[] = {1, 3, 2, 2, 0, 16};
    struct encoded_matrix left = dense_f32(a, 2, 3), right = dense_f32(b, 2, 3);
    struct layer_diff diff;

    CHECK(layer_diff(&diff, &left, &right, NULL) == 0);
    CHECK_EQ(diff.codes_differing, 3);
    CHECK_EQ(diff.transitions[1][2], 1);
    CHECK_EQ(diff.transitions[0][2], 1);
    CHECK_EQ(diff.transitions[2][1], 1);
    CHECK_EQ(diff.magnitudes_differing, 2);
    CHECK(diff.scale_ratio_max == 2);
    CHECK(diff.has_first && diff.first == 1);
}

CASE(not_finite, "values that are not finite count as differences and do not crash")
{
    const float a[] = {NAN, NAN, INFINITY, INFINITY, 1, 0, NAN};
    const float b[] = {0, 1, INFINITY, 1, NAN, NAN, NAN};
    struct encoded_matrix left = dense_f32(a, 1, 7), right = dense_f32(b, 1, 7);
    struct layer_diff diff;

    CHECK(layer_diff(&diff, &left, &right, NULL) == 0);
    CHECK_EQ(diff.codes_differing, 2);
    CHECK_EQ(diff.magnitudes_differing, 5);
    CHECK(diff.has_first && diff.first == 0);
    left.columns = right.columns = 1;
    CHECK(layer_diff(&diff, &left, &right, NULL) == 0);
    CHECK(diff.has_first); /* NaN is not 0 */
}

CASE(experts,
     "the counts of several matrices are added, and positions continue across them")
{
    const float a[] = {1, 1, 1, 1}, b[] = {1, 1, 1, -2};
    struct encoded_matrix left = dense_f32(a, 2, 2), same = dense_f32(a, 2, 2),
                          right = dense_f32(b, 2, 2);
    struct layer_diff whole, one;

    CHECK(layer_diff(&whole, &left, &same, NULL) == 0);
    CHECK(layer_diff(&one, &left, &right, NULL) == 0);
    layer_diff_add(&whole, &one);
    layer_diff_add(&whole, &one);
    CHECK_EQ(whole.elements, 12);
    CHECK_EQ(whole.codes_differing, 2);
    CHECK_EQ(whole.transitions[2][0], 2);
    CHECK(whole.has_first && whole.first == 7 && whole.scale_ratio_max == 2);
}

CASE(illegal_codes, "an illegal code on either side is counted")
{
    const int8_t codes[] = {1, 2};
    const float scale = 1, values[] = {1, 1};
    struct encoded_matrix left = dense_f32(values, 1, 2);
    struct encoded_matrix right = {
        .rows = 1,
        .columns = 2,
        .terms = {.encoding = TRIT_ENCODING_INT8, .group_size = GROUP},
        .data = codes,
        .scales = &scale,
        .scales_dtype = TRIT_F32};
    struct failure failure = {.status = TRIT_OK};
    struct layer_diff diff;

    CHECK(layer_diff(&diff, &left, &right, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK(layer_diff(&diff, &right, &left, NULL) < 0);
}

CASE(memory, "if memory runs out, there is no comparison")
{
    const float values[] = {1, 1};
    struct encoded_matrix matrix = dense_f32(values, 1, 2);
    struct failure failure = {.status = TRIT_OK};
    struct layer_diff diff;

    fault_arm(FAULT_MEMORY, 1, FAULT_ONCE);
    CHECK(layer_diff(&diff, &matrix, &matrix, &failure) < 0);
    CHECK(fault_disarm());
    CHECK_EQ(failure.status, TRIT_RESOURCE_EXHAUSTED);
}

/* ---- reasons ------------------------------------------------------------------------- */

static float latents[ELEMENTS], claim[ELEMENTS];

static void draw_latents(void)
{
    uint64_t state = 7;

    for (size_t i = 0; i < ELEMENTS; i++)
        latents[i] = (float)((double)(check_random(&state) >> 40) / (1 << 23) - 1);
}

/* The projection of the latents in groups of `size`, zero below `threshold` means. */
static void project(size_t size, double threshold, float factor)
{
    for (size_t at = 0; at < ELEMENTS; at += size) {
        double sum = 0;

        for (size_t i = at; i < at + size; i++)
            sum += fabs((double)latents[i]);
        const float scale = (float)(sum / (double)size);
        for (size_t i = at; i < at + size; i++)
            claim[i] = fabs((double)latents[i]) < threshold * (double)scale ? 0
                       : latents[i] > 0 ? scale * factor
                                        : -scale * factor;
    }
}

static struct file_findings explained(void)
{
    const struct explained what = {.claim = dense_f32(claim, ROWS, COLUMNS),
                                   .latents_dtype = TRIT_F32,
                                   .latents = latents};
    struct file_findings findings;

    findings_init(&findings);
    findings_add(&findings, TRIT_FINDING_CODES_DIFFER, "l", NULL);
    findings_add(&findings, TRIT_FINDING_SCALES_DIFFER, "l", NULL);
    findings_explain(&findings, "l", &what);
    return findings;
}

static const struct trit_finding *find(const struct file_findings *findings,
                                       enum trit_finding_kind kind)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].finding.kind == kind)
            return &findings->list[i].finding;
    return NULL;
}

CASE(granularity, "another group size is found if it explains every weight")
{
    draw_latents();
    project(64, 0.5, 1);
    struct file_findings findings = explained();
    const struct trit_finding *found = find(&findings, TRIT_FINDING_GRANULARITY_DIFFERS);
    CHECK(found);
    CHECK_STR(found->expected, "128");
    CHECK_STR(found->got, "64");
    findings_fini(&findings);
    project(COLUMNS, 0.5, 1);
    findings = explained();
    found = find(&findings, TRIT_FINDING_GRANULARITY_DIFFERS);
    CHECK(found && strcmp(found->got, "256 (a row)") == 0);
    findings_fini(&findings);
}

CASE(threshold, "another threshold is found if it separates the zeros from the rest")
{
    draw_latents();
    project(GROUP, 0.7, 1);
    struct file_findings findings = explained();
    CHECK(find(&findings, TRIT_FINDING_THRESHOLD_DIFFERS));
    CHECK(strstr(find(&findings, TRIT_FINDING_CODES_DIFFER)->hint, "+1 -> 0: "));
    CHECK(!find(&findings, TRIT_FINDING_GRANULARITY_DIFFERS));
    findings_fini(&findings);
}

CASE(no_reason, "no reason is given if none explains every weight")
{
    draw_latents();
    project(GROUP, 0.5, 1);
    for (size_t i = 0; claim[i] == 0 || (claim[i] = -claim[i], false); i++)
        ;
    struct file_findings findings = explained();
    CHECK_EQ(findings.count, 2);
    CHECK(strstr(findings.list[0].finding.hint, ": 1"));
    findings_fini(&findings);
}

CASE(reasons_without_memory,
     "a failed allocation in the search for a reason never makes a failed layer pass")
{
    draw_latents();
    project(64, 0.5, 1);
    for (uint64_t n = 1;; n++) {
        const struct explained what = {.claim = dense_f32(claim, ROWS, COLUMNS),
                                       .latents_dtype = TRIT_F32,
                                       .latents = latents};
        struct file_findings findings;

        findings_init(&findings);
        CHECK(findings_add(&findings, TRIT_FINDING_CODES_DIFFER, "l", NULL));
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        findings_explain(&findings, "l", &what);
        const bool hit = fault_disarm();
        CHECK_EQ(findings_verdict(&findings), TRIT_VERDICT_FAIL);
        findings_fini(&findings);
        if (!hit)
            break;
    }
}
