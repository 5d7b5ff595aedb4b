/* SPDX-License-Identifier: Apache-2.0 */
/* Statements that are read and written, also without memory, and what differs from them. */
#include "checkpoint/attestation.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/fault.h"
#include "tests/unit/checkpoint/tables.h"

static const uint8_t some[TRIT_DIGEST_BYTES] = {1, 0xab, 0xff};
static const uint8_t other[TRIT_DIGEST_BYTES] = {2};
static const struct layer_terms terms = {.encoding = TRIT_ENCODING_PQ2_0,
                                         .group_size = 128};

static void fill(struct attestation *attestation)
{
    *attestation = (struct attestation){.terms = terms, .verdict = TRIT_VERDICT_PASS};
    CHECK(attested_add(&attestation->files, "b.json", some, NULL, NULL) == 0);
    CHECK(attested_add(&attestation->files, "a.safetensors", other, NULL, NULL) == 0);
    CHECK(attested_add(&attestation->layers, "x.weight", some, &terms, NULL) == 0);
    CHECK(attested_add(&attestation->layers, "e.weight[1]", other, &terms, NULL) == 0);
    CHECK(attested_add(&attestation->latents, "l.npy", some, NULL, NULL) == 0);
    CHECK(!attested_sort(&attestation->files));
    CHECK(!attested_sort(&attestation->layers));
}

/* Of a file with two tensors and a finding. */
struct file {
    struct tensor_table table;
    struct contents contents;
    struct file_findings findings;
};

static struct attestation_facts file_init(struct file *file)
{
    const struct checkpoint_options options = {.group_size = 0};

    table_init(&file->table);
    add(&file->table, "x.weight", "U8", 4, 256, 0);
    add(&file->table, "norm.weight", "F32", 4, 0, 0);
    seal(&file->table);
    CHECK(contents_create(&file->contents, &options, CONTENTS_CLAIM, &terms, &file->table,
                          NULL, NULL) == 0);
    findings_init(&file->findings);
    CHECK(findings_add(&file->findings, TRIT_FINDING_SCALE_ROUNDED, "x.weight", NULL) !=
          NULL);
    return (struct attestation_facts){.contents = &file->contents,
                                      .findings = &file->findings,
                                      .examined = 1024,
                                      .kept = 4,
                                      .client = "1.0",
                                      .daemon = "0.9"};
}

static void file_fini(struct file *file)
{
    findings_fini(&file->findings);
    contents_destroy(&file->contents);
    table_fini(&file->table);
}

static size_t differences(const struct attestation *stated,
                          const struct attestation *found, enum trit_finding_kind kind)
{
    struct file_findings findings;
    size_t count = 0;

    findings_init(&findings);
    findings_add_attestation(&findings, stated, found);
    for (size_t i = 0; i < findings.count; i++) {
        CHECK_EQ(findings.list[i].finding.severity, TRIT_SEVERITY_ERROR);
        count += findings.list[i].finding.kind == kind;
    }
    CHECK_EQ(count, findings.count);
    findings_fini(&findings);
    return count;
}

CASE(round_trip, "a statement that was written is read as the same")
{
    struct attestation attestation, read;
    struct file file;
    char *text = NULL;
    size_t bytes;

    fill(&attestation);
    const struct attestation_facts facts = file_init(&file);
    CHECK(attestation_write(&attestation, &facts, &text, &bytes, NULL) == 0);
    CHECK_EQ(bytes, strlen(text));
    CHECK(attestation_read(&read, text, bytes, NULL) == 0);
    CHECK_EQ(read.files.count, 2);
    CHECK_STR(read.files.list[0].name, "a.safetensors");
    CHECK_STR(read.layers.list[0].name, "e.weight[1]");
    CHECK_EQ(read.layers.list[0].terms.encoding, TRIT_ENCODING_PQ2_0);
    CHECK_EQ(read.latents.count, 1);
    CHECK(!read.in_envelope);
    CHECK_EQ(differences(&attestation, &read, TRIT_FINDING_UNKNOWN), 0);
    free(text);
    attestation_fini(&read);
    attestation_fini(&attestation);
    file_fini(&file);
}

CASE(file_names, "a file that a statement cannot name is refused when it is written")
{
    static const char *const names[] = {"a\nb.npy", "\x7f.npy", "\xff.npy", "b/c.npy"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (int latents = 0; latents < 2; latents++) {
            struct attestation attestation;
            struct failure failure = {.status = TRIT_OK};
            struct file file;
            char *text = NULL;
            size_t bytes;

            fill(&attestation);
            const struct attestation_facts facts = file_init(&file);
            CHECK(attested_add(latents ? &attestation.latents : &attestation.files,
                               names[i], some, NULL, NULL) == 0);
            CHECK(attestation_write(&attestation, &facts, &text, &bytes, &failure) < 0);
            CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
            CHECK(strstr(failure.message, names[i]) && !text);
            attestation_fini(&attestation);
            file_fini(&file);
        }
}

CASE(no_memory, "a statement is written and read completely, or the call says why not")
{
    struct attestation attestation, read;
    struct file file;
    size_t bytes = 0;

    fill(&attestation);
    const struct attestation_facts facts = file_init(&file);
    json_set_alloc_funcs(fault_malloc, free);
    for (uint64_t n = 1;; n++) {
        struct failure failure = {.status = TRIT_OK};
        char *text = NULL;

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        int result = attestation_write(&attestation, &facts, &text, &bytes, &failure);
        if (result == 0)
            result = attestation_read(&read, text, bytes, &failure);
        else
            read = (struct attestation){.in_envelope = false};
        const bool hit = fault_disarm();
        CHECK(result == 0 || failure.status == TRIT_RESOURCE_EXHAUSTED);
        if (result == 0)
            CHECK_EQ(differences(&attestation, &read, TRIT_FINDING_UNKNOWN), 0);
        attestation_fini(&read);
        free(text);
        if (!hit)
            break;
    }
    json_set_alloc_funcs(malloc, free);
    attestation_fini(&attestation);
    file_fini(&file);
}

CASE(differing, "each difference is one finding that names the file or layer")
{
    struct attestation stated, found;

    fill(&stated);
    fill(&found);
    found.files.list[1].digest[5] ^= 1;
    CHECK_EQ(differences(&stated, &found, TRIT_FINDING_FILE_DIFFERS), 1);
    found.files.list[1].digest[5] ^= 1;
    stated.layers.list[0].digest[0] ^= 1;
    CHECK_EQ(differences(&stated, &found, TRIT_FINDING_DIGEST_DIFFERS), 1);
    stated.layers.list[0].digest[0] ^= 1;
    CHECK(attested_add(&found.files, "z.txt", some, NULL, NULL) == 0);
    CHECK_EQ(differences(&stated, &found, TRIT_FINDING_EXTRA_FILE), 1);
    CHECK_EQ(differences(&found, &stated, TRIT_FINDING_MISSING_FILE), 1);
    CHECK(attested_add(&stated.files, "z.txt", some, NULL, NULL) == 0);
    CHECK(attested_add(&found.layers, "z.weight", some, &terms, NULL) == 0);
    CHECK_EQ(differences(&stated, &found, TRIT_FINDING_EXTRA_LAYER), 1);
    CHECK_EQ(differences(&found, &stated, TRIT_FINDING_MISSING_LAYER), 1);
    attestation_fini(&stated);
    attestation_fini(&found);
}

CASE(verdicts,
     "a statement with a worse verdict than was found is an error, a better one not")
{
    static const enum trit_verdict order[] = {
        TRIT_VERDICT_FAIL, TRIT_VERDICT_INCONCLUSIVE, TRIT_VERDICT_PASS};
    struct attestation stated, found;

    fill(&stated);
    fill(&found);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++) {
            stated.verdict = order[i];
            found.verdict = order[k];
            CHECK_EQ(differences(&stated, &found, TRIT_FINDING_ATTESTATION_DIFFERS),
                     i < k);
        }
    attestation_fini(&stated);
    attestation_fini(&found);
}

CASE(digests, "digests are 64 lower-case hexadecimal digits")
{
    char hex[DIGEST_HEX_BYTES];
    uint8_t digest[TRIT_DIGEST_BYTES];

    CHECK(digest_read(digest_hex(hex, some), digest));
    CHECK(memcmp(digest, some, sizeof(digest)) == 0);
    CHECK_EQ(strncmp(hex, "01abff0000", 10), 0);
    hex[3] = 'B';
    CHECK(!digest_read(hex, digest));
    hex[3] = 'g';
    CHECK(!digest_read(hex, digest));
    CHECK(!digest_read("", digest) && !digest_read("01ab", digest));
}
