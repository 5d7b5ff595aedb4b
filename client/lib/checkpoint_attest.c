/* SPDX-License-Identifier: Apache-2.0 */
/* Statements about a verification. */
#include <stdlib.h>

#include "client/lib/attested_files.h"
#include "client/lib/client.h"
#include "client/lib/file.h"
#include "client/lib/verification.h"
#include "files/target.h"

/* What was found; attestation_fini is due in either case. `except` is the statement. */
static int gather(struct trit_verification *v, struct trit_file *claim,
                  struct trit_file *latents, const char *except,
                  struct attestation *found, struct failure *failure)
{
    *found = (struct attestation){.terms = v->claim.terms};
    if (verification_conclude(v, failure) < 0)
        return -1;
    found->verdict = findings_verdict(&v->findings);
    for (size_t i = 0; i < v->digests.count; i++) {
        const struct attested *layer = &v->digests.list[i];

        if (attested_add_layer(&found->layers, layer->name, layer->digest, &layer->terms,
                               layer->max_round_error, failure) < 0)
            return -1;
    }
    attested_sort(&found->layers);
    if (attested_files(&found->files, claim->reader, &claim->checkpoint.config,
                       claim->path, except, failure) < 0)
        return -1;
    return latents ? attested_files(&found->latents, latents->reader,
                                    &latents->checkpoint.config, latents->path, except,
                                    failure)
                   : 0;
}

static int write_statement(const struct trit_verification *v,
                           const struct attestation *found, const char *path,
                           bool replace, struct failure *failure)
{
    const struct attestation_facts facts = {.contents = &v->claim,
                                            .findings = &v->findings,
                                            .examined = v->examined,
                                            .kept = verification_kept(v),
                                            .client = trit_version(),
                                            .daemon = v->daemon};
    struct target *target = NULL;
    char *text = NULL;
    size_t bytes;
    int result = attestation_write(found, &facts, &text, &bytes, failure);

    if (result == 0)
        result =
            target_open(&target, path, replace ? TARGET_REPLACE : TARGET_NEW, failure);
    if (result == 0)
        result = target_write(target, 0, text, bytes, failure);
    if (result == 0)
        result = target_commit(target, failure);
    target_close(target);
    free(text);
    return result;
}

enum trit_status trit_verification_attest(struct trit_verification *verification,
                                          struct trit_file *claim,
                                          struct trit_file *latents, const char *path,
                                          bool replace, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};
    struct attestation found;

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !claim || !path) {
        fail_null(&failure, !verification ? "verification" : !claim ? "claim" : "path");
        return client_answer(&failure, error);
    }
    if (gather(verification, claim, latents, path, &found, &failure) == 0 &&
        write_statement(verification, &found, path, replace, &failure) < 0)
        fail_context(&failure, "%s", path);
    attestation_fini(&found);
    return client_answer(&failure, error);
}

static int check(struct trit_verification *v, const char *path, struct trit_file *claim,
                 struct trit_file *latents, struct failure *failure)
{
    struct attestation stated, found = {.files.list = NULL};
    int result = attestation_read_file(&stated, path, failure);

    if (result < 0)
        fail_context(failure, "%s", path);
    else
        result = gather(v, claim, latents, path, &found, failure);
    if (result == 0)
        findings_add_attestation(&v->findings, &stated, &found);
    attestation_fini(&found);
    attestation_fini(&stated);
    return result;
}

enum trit_status
trit_verification_check_attestation(struct trit_verification *verification,
                                    const char *path, struct trit_file *claim,
                                    struct trit_file *latents, struct trit_error *error)
{
    struct failure failure = {.status = TRIT_OK};

    if (error_check(error, &failure) < 0)
        return client_answer(&failure, error);
    if (!verification || !claim || !path)
        fail_null(&failure, !verification ? "verification" : !claim ? "claim" : "path");
    else
        check(verification, path, claim, latents, &failure);
    return client_answer(&failure, error);
}
