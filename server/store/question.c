/* SPDX-License-Identifier: Apache-2.0 */
#include "store/question.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "finding.h"
#include "kernels/kernels.h"
#include "proto/names.h"

/* ---- encoding --------------------------------------------------------------- */

/* One byte each: layout (1), method, mode, partial, has_latents and joined. Then the bits of the
 * f32 tolerance, little-endian, and 16 bytes of latents. */
enum { QUESTION_LAYOUT = 1, AT_TOLERANCE = 5, AT_LATENTS = 9, LATENTS_BYTES = 16 };
_Static_assert(AT_LATENTS + LATENTS_BYTES == QUESTION_BYTES, "the last field");

void question_encode(const struct store_question *question, uint8_t bytes[QUESTION_BYTES])
{
    bool verify = question->method == STORE_METHOD_VERIFY;
    uint32_t tolerance = 0;

    memset(bytes, 0, QUESTION_BYTES);
    bytes[0] = QUESTION_LAYOUT;
    bytes[1] = (uint8_t)question->method;
    bytes[3] = (uint8_t)question->partial;
    if (verify) {
        bytes[2] = (uint8_t)question->mode;
        memcpy(&tolerance, &question->tolerance, sizeof(tolerance));
        for (int i = 0; i < 4; i++)
            bytes[AT_TOLERANCE + i] = (uint8_t)(tolerance >> 8 * i);
    }
    bytes[4] = (uint8_t)(question->has_latents | question->joined << 1);
    if (question->has_latents && !question->joined)
        memcpy(bytes + AT_LATENTS, question->latents, LATENTS_BYTES);
}

int question_decode(const uint8_t *bytes, size_t count, struct store_question *question)
{
    uint32_t tolerance = 0;

    if (!bytes || count != QUESTION_BYTES || bytes[0] != QUESTION_LAYOUT)
        return -1;
    for (int i = 0; i < 4; i++)
        tolerance |= (uint32_t)bytes[AT_TOLERANCE + i] << 8 * i;
    *question = (struct store_question){
        .method = (enum store_method)bytes[1],
        .mode = (enum trit_verify_mode)bytes[2],
        .partial = (enum trit_partial_group)bytes[3],
        .has_latents = bytes[4] & 1,
        .joined = bytes[4] & 2,
    };
    memcpy(&question->tolerance, &tolerance, sizeof(tolerance));
    memcpy(question->latents, bytes + AT_LATENTS, LATENTS_BYTES);
    return 0;
}

/* ---- findings -------------------------------------------------------------- */

enum { FINDING_TEXT_BYTES = 256 };

/* Hints are prose, which a later version may say in other words. */
static bool same_finding(const struct trit_finding *a, const struct trit_finding *b)
{
    return a->kind == b->kind && a->severity == b->severity &&
           a->has_index == b->has_index && a->has_group == b->has_group &&
           a->has_count == b->has_count && (!a->has_index || a->index == b->index) &&
           (!a->has_group || a->group == b->group) &&
           (!a->has_count || a->count == b->count) &&
           strcmp(a->expected, b->expected) == 0 && strcmp(a->got, b->got) == 0;
}

/* "not_ternary (count 5, index 17)"; NULL: "none". */
static void finding_text(const struct trit_finding *finding,
                         char text[FINDING_TEXT_BYTES])
{
    const char *separator = " (";
    size_t at;

    if (!finding) {
        snprintf(text, FINDING_TEXT_BYTES, "none");
        return;
    }
    at = (size_t)snprintf(text, FINDING_TEXT_BYTES, "%s",
                          finding_kind_name(finding->kind));
    const struct {
        bool present;
        const char *name;
        uint64_t value;
    } numbers[] = {
        {finding->has_count, "count", finding->count},
        {finding->has_index, "index", finding->index},
        {finding->has_group, "group", finding->group},
    };
    const struct {
        const char *name, *value;
    } texts[] = {{"expected", finding->expected}, {"got", finding->got}};

    for (size_t i = 0; i < 3; i++) {
        if (!numbers[i].present)
            continue;
        at += (size_t)snprintf(text + at, FINDING_TEXT_BYTES - at, "%s%s %" PRIu64,
                               separator, numbers[i].name, numbers[i].value);
        separator = ", ";
    }
    for (size_t i = 0; i < 2; i++) {
        if (texts[i].value[0] == '\0')
            continue;
        at += (size_t)snprintf(text + at, FINDING_TEXT_BYTES - at, "%s%s %s", separator,
                               texts[i].name, texts[i].value);
        separator = ", ";
    }
    if (separator[0] == ',')
        snprintf(text + at, FINDING_TEXT_BYTES - at, ")");
}

static bool same_findings(const struct trit_report *stored,
                          const struct trit_report *given,
                          char difference[DIFFERENCE_BYTES])
{
    char old[FINDING_TEXT_BYTES], new[FINDING_TEXT_BYTES];
    uint32_t i = 0;

    while (i < stored->finding_count && i < given->finding_count &&
           same_finding(&stored->findings[i], &given->findings[i]))
        i++;
    if (i == stored->finding_count && i == given->finding_count)
        return true;
    finding_text(i < stored->finding_count ? &stored->findings[i] : NULL, old);
    finding_text(i < given->finding_count ? &given->findings[i] : NULL, new);
    if (strcmp(old, new) == 0)
        snprintf(difference, DIFFERENCE_BYTES,
                 "; the findings differ: %s has another severity", old);
    else
        snprintf(difference, DIFFERENCE_BYTES, "; the findings differ: stored %s, new %s",
                 old, new);
    return false;
}

/* ---- the question ---------------------------------------------------------- */

enum { VALUE_BYTES = 48 };

/* What makes up a question; messages name it. */
enum aspect { METHOD, MODE, TOLERANCE, GROUP_SIZE, PARTIAL, DTYPE, LATENTS, ASPECTS };
static const char *const aspect_names[ASPECTS] = {
    [METHOD] = "method",         [MODE] = "mode",
    [TOLERANCE] = "tolerance",   [GROUP_SIZE] = "group_size",
    [PARTIAL] = "partial_group", [DTYPE] = "dtype",
    [LATENTS] = "latents",
};

static const char *method_name(enum store_method method)
{
    return method == STORE_METHOD_PROJECT  ? "Project"
           : method == STORE_METHOD_VERIFY ? "Verify"
                                           : "unknown";
}

static void describe(const struct trit_report *report,
                     const struct store_question *question,
                     char values[ASPECTS][VALUE_BYTES])
{
    size_t at = 0;

    snprintf(values[METHOD], VALUE_BYTES, "%s", method_name(question->method));
    snprintf(values[MODE], VALUE_BYTES, "%s",
             question->mode == TRIT_VERIFY_LATENT ? "VERIFY_LATENT" : "VERIFY_TERNARY");
    snprintf(values[TOLERANCE], VALUE_BYTES, "%.9g", (double)question->tolerance);
    snprintf(values[GROUP_SIZE], VALUE_BYTES, "%" PRIu32, report->group_size);
    snprintf(values[PARTIAL], VALUE_BYTES, "%s",
             question->partial == TRIT_PARTIAL_EXACT ? "PARTIAL_EXACT"
                                                     : "PARTIAL_PADDED");
    snprintf(values[DTYPE], VALUE_BYTES, "%s", dtype_name(report->dtype));
    snprintf(values[LATENTS], VALUE_BYTES, "none");
    for (size_t i = 0; question->has_latents && i < LATENTS_BYTES; i++)
        at += (size_t)snprintf(values[LATENTS] + at, VALUE_BYTES - at, "%02x",
                               question->latents[i]);
}

/* The latents of a layer that came in shards are not known as a whole. */
static bool same_bytes(const uint8_t *stored, const struct store_question *asked,
                       const uint8_t *given)
{
    struct store_question alike;
    uint8_t bytes[QUESTION_BYTES];

    if (!asked->joined)
        return memcmp(stored, given, QUESTION_BYTES) == 0;
    question_decode(given, QUESTION_BYTES, &alike);
    alike.joined = true;
    question_encode(&alike, bytes);
    return memcmp(stored, bytes, QUESTION_BYTES) == 0;
}

static bool same_question(const struct answer *stored, const struct answer *given,
                          char difference[DIFFERENCE_BYTES])
{
    char old[ASPECTS][VALUE_BYTES], new[ASPECTS][VALUE_BYTES];
    struct store_question asked, asks;
    int aspect = 0;

    if (question_decode(stored->question, stored->question_bytes, &asked) ||
        question_decode(given->question, given->question_bytes, &asks)) {
        snprintf(difference, DIFFERENCE_BYTES,
                 "; it was stored by an older tritd, which did not keep the question that"
                 " it answers");
        return false;
    }
    if (same_bytes(stored->question, &asked, given->question) &&
        stored->report->group_size == given->report->group_size &&
        stored->report->dtype == given->report->dtype)
        return true;
    describe(stored->report, &asked, old);
    describe(given->report, &asks, new);
    while (aspect < ASPECTS && strcmp(old[aspect], new[aspect]) == 0)
        aspect++;
    if (aspect == ASPECTS)
        snprintf(difference, DIFFERENCE_BYTES, "; it answers another question");
    else
        snprintf(difference, DIFFERENCE_BYTES,
                 "; it answers another question: stored %s %s, new %s",
                 aspect_names[aspect], old[aspect], new[aspect]);
    return false;
}

/* ---- all together ------------------------------------------------------------- */

bool same_answer(const struct answer *stored, const struct answer *given,
                 char difference[DIFFERENCE_BYTES])
{
    enum trit_verdict old = report_verdict(stored->report);
    enum trit_verdict new = report_verdict(given->report);

    difference[0] = '\0';
    if (memcmp(stored->report->digest, given->report->digest, TRIT_DIGEST_BYTES) != 0)
        return false;
    if (old != new) {
        snprintf(difference, DIFFERENCE_BYTES, "; the verdict differs: stored %s, new %s",
                 verdict_name(old), verdict_name(new));
        return false;
    }
    return same_findings(stored->report, given->report, difference) &&
           same_question(stored, given, difference);
}
