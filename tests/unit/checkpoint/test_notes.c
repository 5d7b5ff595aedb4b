/* SPDX-License-Identifier: Apache-2.0 */
/* Findings about an index that contradicts its shards. */
#include "checkpoint/notes.h"

#include <jansson.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/fault.h"

CASE(findings_of_notes,
     "each note becomes a finding of its kind, with the shard in its hint")
{
    static const struct {
        struct reader_note note;
        const char *text;
    } cases[] = {
        {{READER_TRUNCATED, "t", "a", NULL, 4096, 100, 0},
         "error: t: truncated, expected 4096 bytes, got 100 bytes: a ends before it does; "
         "download or copy the file again"},
        {{READER_INDEX_DISAGREES, "t", "a", NULL, 0, 0, 0},
         "error: t: index_disagrees: the index says that a holds it"},
        {{READER_INDEX_DISAGREES, NULL, "a", NULL, 0, 0, 7},
         "error: a: index_disagrees, 7 in all: the file is missing; the index says "
         "that it holds tensors"},
        {{READER_INDEX_DISAGREES, NULL, "a", NULL, 0, 0, 0},
         "error: a: index_disagrees: the file is missing; the names of the other shards "
         "imply it"},
        {{READER_NOT_IN_INDEX, "t", "a", NULL, 0, 0, 0},
         "warning: t: not_in_index: a holds it, but the index does not list it; it is "
         "read"},
        {{READER_NOT_READ, NULL, "a", "b", 0, 0, 1},
         "warning: a: not_in_index, 1 in all: it was not examined: the folder's weights are "
         "those of b; verify it by its name"},
        {{READER_NOT_READ, NULL, "a", "b", 0, 0, 3},
         "warning: a: not_in_index, 3 in all: it and the others of its kind were not "
         "examined: the folder's weights are those of b; join them to safetensors and "
         "verify that"},
        {{READER_ONE_OF_SHARDS, NULL, "b", "a", 0, 0, 2},
         "warning: b: not_in_index, 2 in all: a is one of 3 shards of a model, and the "
         "others were not examined; name their folder"},
        {{READER_DUPLICATE, "t", "b", "a", 0, 0, 0},
         "error: t: duplicate: a and b both hold it"},
        {{READER_SPLIT_DISAGREES, NULL, "a", "split.count", 3, 1, 0},
         "error: a: index_disagrees, expected split.count 1, got 3: it is a part of a split "
         "model: put all of its parts into one folder, as NAME-00001-of-0000N.gguf and so "
         "on"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[FINDING_TEXT_BYTES];
        struct file_findings findings;

        findings_init(&findings);
        findings_add_notes(&findings, &cases[i].note, 1);
        CHECK_EQ(findings.count, 1);
        CHECK_STR(finding_text(text, &findings.list[0]), cases[i].text);
        CHECK_EQ(findings_verdict(&findings), strncmp(cases[i].text, "warning", 7) == 0
                                                  ? TRIT_VERDICT_PASS
                                                  : TRIT_VERDICT_FAIL);
        findings_fini(&findings);
    }
}

CASE(
    one_of_shards,
    "one shard of a verified model leaves the verdict undecided; one of latents does not")
{
    const struct reader_note note = {READER_ONE_OF_SHARDS, NULL, "b", "a", 0, 0, 1};
    struct file_findings findings;

    findings_init(&findings);
    findings_add_notes(&findings, &note, 1);
    CHECK_EQ(findings_verdict(&findings), TRIT_VERDICT_PASS);
    findings_add_notes_of_claim(&findings, &note, 1);
    CHECK_EQ(findings_verdict(&findings), TRIT_VERDICT_INCONCLUSIVE);
    findings_fini(&findings);
}

CASE(long_names, "a long shard name is cut between characters, and the JSON stays valid")
{
    char name[256] = "";

    /* Two bytes a character, after 0 or 1 others: one of them would be cut. */
    for (size_t odd = 0; odd < 2; odd++) {
        const struct reader_note notes[] = {
            {READER_TRUNCATED, "t", name, NULL, 9, 1, 0},
            {READER_INDEX_DISAGREES, "t", name, NULL, 0, 0, 0},
            {READER_NOT_IN_INDEX, "t", name, NULL, 0, 0, 0},
            {READER_DUPLICATE, "t", name, name, 0, 0, 0},
        };
        struct file_findings findings;

        strcpy(name, odd ? "x" : "");
        for (size_t i = 0; i < 120; i++)
            strcat(name, "\xc3\xa4");
        findings_init(&findings);
        findings_add_notes(&findings, notes, 4);
        json_t *json = findings_json(&findings);
        CHECK(json);
        CHECK_EQ(json_array_size(json), 4);
        json_decref(json);
        findings_fini(&findings);
    }
}

CASE(memory, "a note that is lost because memory ran out never leads to a pass")
{
    const struct reader_note note = {READER_DUPLICATE, "t", "b", "a", 0, 0, 0};

    for (uint64_t n = 1;; n++) {
        struct file_findings findings;

        findings_init(&findings);
        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        findings_add_notes(&findings, &note, 1);
        const bool hit = fault_disarm();
        CHECK_EQ(findings_verdict(&findings), TRIT_VERDICT_FAIL);
        findings_fini(&findings);
        if (!hit)
            break;
    }
}
