/* SPDX-License-Identifier: Apache-2.0 */
/* Attestations: in-toto Statements (v1) that say of which files a verification found what.
 * The subjects are the files with their SHA-256. The predicate has the digest of the trits
 * and scales of each layer, the verdict, what each tensor is, and the versions that found
 * it. docs/attest.md describes it, docs/schema/attestation.json has the schema. */
#ifndef CHECKPOINT_ATTESTATION_H
#define CHECKPOINT_ATTESTATION_H

#include "checkpoint/attested.h"
#include "checkpoint/contents.h"
#include "checkpoint/findings.h"

struct json_t;

enum {
    ATTESTATION_BYTES_MAX = 16 << 20, /* of a statement, or of the envelope around it */
    ATTESTED_MAX = 1 << 18,           /* files, and layers, of one statement */
};

/* The type of the predicate. It is a name; nothing is fetched from it. */
#define ATTESTATION_TYPE "https://tritd/attestation/v1"

/* What is said of a checkpoint: by a statement, or by a verification. */
struct attestation {
    struct attested_list files, layers; /* sorted by name */
    struct attested_list latents;       /* files that the layers were compared with */
    struct layer_terms terms;           /* of the file */
    enum trit_verdict verdict;
    bool in_envelope; /* the statement was in a DSSE envelope */
};

void attestation_fini(struct attestation *attestation); /* harmless on a zeroed one */

/* Reads a statement, or a DSSE envelope or a Sigstore bundle that holds one. Signatures are
 * not looked at. INVALID_ARGUMENT: it is no such statement, a digest is missing or no
 * SHA-256 in lower-case hexadecimal digits, a name is no plain file name or stands twice.
 * Call attestation_fini also after a failure. */
int attestation_read(struct attestation *attestation, const char *text, size_t bytes,
                     struct failure *failure);

/* What a verification found, beyond the attestation. */
struct attestation_facts {
    const struct contents *contents;
    const struct file_findings *findings;
    uint64_t examined, kept;     /* parameters */
    const char *client, *daemon; /* versions; daemon: "" if no layer was sent to one */
};

/* The statement as JSON, malloc'ed. What attestation_read does not accept is not written.
 * RESOURCE_EXHAUSTED: it would be too large. INVALID_ARGUMENT: a file has a name that no
 * statement can have. */
int attestation_write(const struct attestation *attestation,
                      const struct attestation_facts *facts, char **text, size_t *bytes,
                      struct failure *failure);

/* Adds a finding for each file and layer in which the two differ, and where the statement
 * has a worse verdict than was found now. Latents are compared if both have some. */
void findings_add_attestation(struct file_findings *findings,
                              const struct attestation *stated,
                              const struct attestation *found);

#endif
