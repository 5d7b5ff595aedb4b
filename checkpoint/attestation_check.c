/* SPDX-License-Identifier: Apache-2.0 */
/* What a statement says, against what was found. */
#include <stdio.h>
#include <string.h>

#include "checkpoint/attestation.h"
#include "files/table.h"
#include "kernels/kernels.h"
#include "proto/finding.h"
#include "proto/utf8.h"

/* The findings about one list. */
struct checking {
    struct file_findings *findings;
    bool layers; /* or files */
    enum trit_finding_kind missing, extra, differs;
    const char *missing_hint, *extra_hint, *differs_hint;
};

/* The name of a file that is there may be no UTF-8; JSON holds only text. */
static const char *as_text(const char *name, char text[FILES_NAME_BYTES_MAX + 1])
{
    if (utf8_is_valid(name))
        return name;
    utf8_show_text(text, FILES_NAME_BYTES_MAX + 1, name);
    return text;
}

static struct trit_finding *find(const struct checking *checking,
                                 enum trit_finding_kind kind, const char *name,
                                 const char *hint)
{
    char text[FILES_NAME_BYTES_MAX + 1];

    name = as_text(name, text);
    struct trit_finding *added =
        findings_add(checking->findings, kind, checking->layers ? name : NULL,
                     checking->layers ? NULL : name);

    if (added)
        added->severity = TRIT_SEVERITY_ERROR;
    finding_set_hint(added, hint);
    return added;
}

/* As many digits as the member holds. */
static void put_digest(char text[TRIT_FINDING_VALUE_BYTES_MAX + 1],
                       const uint8_t digest[TRIT_DIGEST_BYTES])
{
    char hex[DIGEST_HEX_BYTES];

    snprintf(text, TRIT_FINDING_VALUE_BYTES_MAX + 1, "sha256:%.40s",
             digest_hex(hex, digest));
}

static void find_differing(const struct checking *checking, const struct attested *stated,
                           const struct attested *found)
{
    struct trit_finding *added =
        find(checking, checking->differs, found->name, checking->differs_hint);

    if (!added)
        return;
    put_digest(added->expected, stated->digest);
    put_digest(added->got, found->digest);
}

/* Of a layer, or of the file. */
static void check_terms(struct file_findings *findings, const char *layer,
                        const struct layer_terms *stated, const struct layer_terms *found)
{
    if (stated->encoding == found->encoding && stated->group_size == found->group_size)
        return;
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_ATTESTATION_DIFFERS, layer, NULL);
    if (!added)
        return;
    snprintf(added->expected, sizeof(added->expected), "%s, group size %u",
             encoding_name(stated->encoding), stated->group_size);
    snprintf(added->got, sizeof(added->got), "%s, group size %u",
             encoding_name(found->encoding), found->group_size);
    finding_set_hint(added, "the statement says how the layers are encoded; verify with "
                            "the options of trit attest");
}

/* Both lists are sorted by name. */
static void check_list(const struct checking *checking,
                       const struct attested_list *stated,
                       const struct attested_list *found)
{
    size_t i = 0, k = 0;

    while (i < stated->count || k < found->count) {
        const int order = i == stated->count ? 1
                          : k == found->count
                              ? -1
                              : strcmp(stated->list[i].name, found->list[k].name);

        if (order < 0)
            find(checking, checking->missing, stated->list[i++].name,
                 checking->missing_hint);
        else if (order > 0)
            find(checking, checking->extra, found->list[k++].name, checking->extra_hint);
        else {
            if (memcmp(stated->list[i].digest, found->list[k].digest,
                       TRIT_DIGEST_BYTES) != 0)
                find_differing(checking, &stated->list[i], &found->list[k]);
            else if (checking->layers)
                check_terms(checking->findings, found->list[k].name,
                            &stated->list[i].terms, &found->list[k].terms);
            i++;
            k++;
        }
    }
}

static void check_verdict(struct file_findings *findings,
                          const struct attestation *stated,
                          const struct attestation *found)
{
    if (!verdict_is_worse(stated->verdict, found->verdict))
        return;
    struct trit_finding *added =
        findings_add(findings, TRIT_FINDING_ATTESTATION_DIFFERS, NULL, NULL);
    if (!added)
        return;
    snprintf(added->expected, sizeof(added->expected), "%s",
             verdict_name(stated->verdict));
    snprintf(added->got, sizeof(added->got), "%s", verdict_name(found->verdict));
    finding_set_hint(added, "the statement has a worse verdict; it may come from a "
                            "comparison with --against");
}

void findings_add_attestation(struct file_findings *findings,
                              const struct attestation *stated,
                              const struct attestation *found)
{
    const struct checking files = {
        .findings = findings,
        .missing = TRIT_FINDING_MISSING_FILE,
        .extra = TRIT_FINDING_EXTRA_FILE,
        .differs = TRIT_FINDING_FILE_DIFFERS,
        .missing_hint = "the statement lists this file",
        .extra_hint = "the statement does not list this file",
        .differs_hint = "the file is not the one that the statement was made of",
    };
    const struct checking latents = {
        .findings = findings,
        .missing = TRIT_FINDING_MISSING_FILE,
        .extra = TRIT_FINDING_EXTRA_FILE,
        .differs = TRIT_FINDING_FILE_DIFFERS,
        .missing_hint = "of the latents: the statement lists this file",
        .extra_hint = "of the latents: the statement does not list this file",
        .differs_hint = "of the latents: not the file that the statement was made with",
    };
    const struct checking layers = {
        .findings = findings,
        .layers = true,
        .missing = TRIT_FINDING_MISSING_LAYER,
        .extra = TRIT_FINDING_EXTRA_LAYER,
        .differs = TRIT_FINDING_DIGEST_DIFFERS,
        .missing_hint = "the statement has the digest of this layer",
        .extra_hint = "the statement has no digest of this layer",
        .differs_hint = "trits, scales or shape are not those of the statement",
    };

    check_list(&files, &stated->files, &found->files);
    if (stated->latents.count && found->latents.count)
        check_list(&latents, &stated->latents, &found->latents);
    check_list(&layers, &stated->layers, &found->layers);
    check_terms(findings, NULL, &stated->terms, &found->terms);
    check_verdict(findings, stated, found);
}
