/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit verify`: what its parts share. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "checkpoint/findings.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"
#include "files/reader.h"

struct verifying {
    const struct options *options;
    struct checkpoint_options said;
    struct trit_client *client;
    struct reader *reader, *reference; /* reference: NULL without --against */
    struct record record;
    struct contents claim, latents; /* latents: zeroed without --against */
    struct match match;
    struct file_findings findings;
    struct progress progress;
    struct showing showing;
    size_t layers, failing;  /* examined */
    size_t compared;         /* other tensors, byte for byte */
    uint64_t examined, kept; /* parameters */
    struct failure failure;
};

/* Loads a layer of the claim with its scales and its reference (NULL: none), has the
 * daemon verify it, and notes its report and findings. Counts it as examined. */
int verify_layer(struct verifying *v, size_t index, const struct tensor_entry *reference);

/* Compares a tensor that is not a layer byte for byte with the latents' tensor. */
int verify_other(struct verifying *v, const struct match_pair *pair);

#endif
