/* SPDX-License-Identifier: Apache-2.0 */
/* Any statement is read or refused. One that is read has plain names of files, sorted and each
 * once, equals itself, and what is written of it is read again as the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/attestation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const struct attested_list *list, bool files)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->list[i].name;

        assert(*name && (!files || (!strchr(name, '/') && strcmp(name, "..") != 0)));
        assert(i == 0 || strcmp(list->list[i - 1].name, name) < 0);
    }
}

static size_t differences(const struct attestation *stated,
                          const struct attestation *found)
{
    struct file_findings findings;
    size_t count;

    findings_init(&findings);
    findings_add_attestation(&findings, stated, found);
    count = findings.count;
    findings_fini(&findings);
    return count;
}

static void check_written(const struct attestation *read)
{
    struct file_findings findings;
    struct tensor_table table;
    struct contents contents = {.table = &table};
    const struct attestation_facts facts = {
        .contents = &contents, .findings = &findings, .client = "1", .daemon = ""};
    struct attestation again;
    char *text;
    size_t bytes;

    findings_init(&findings);
    table_init(&table);
    if (attestation_write(read, &facts, &text, &bytes, NULL) == 0) {
        assert(attestation_read(&again, text, bytes, NULL) == 0);
        assert(differences(read, &again) == 0 && differences(&again, read) == 0);
        assert(!again.in_envelope && again.latents.count == read->latents.count);
        attestation_fini(&again);
        free(text);
    }
    table_fini(&table);
    findings_fini(&findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attestation attestation;

    if (attestation_read(&attestation, (const char *)data, size, NULL) == 0) {
        assert(attestation.files.count > 0);
        check_list(&attestation.files, true);
        check_list(&attestation.latents, true);
        check_list(&attestation.layers, false);
        assert(differences(&attestation, &attestation) == 0);
        check_written(&attestation);
    }
    attestation_fini(&attestation);
    return 0;
}
