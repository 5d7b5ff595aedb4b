/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit verify`: shared by its files. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "checkpoint/findings.h"
#include "client/cli/file.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"

struct verifying {
    const struct options *options;
    struct checkpoint_options rules, latents_rules; /* options for the two sides */
    struct trit_client *client;
    struct input file, against; /* against: zeroed without --against */
    struct record record;
    struct contents claim, latents; /* latents: zeroed without --against */
    struct match match;
    struct file_findings findings;
    struct progress progress;
    struct showing showing;
    size_t layers, failing;  /* layers examined, and those of them that fail */
    size_t explained;        /* matrices whose mismatch was analysed (explain.h) */
    size_t compared;         /* other tensors, byte for byte */
    uint64_t examined, kept; /* parameters */
    struct failure failure;
};

/* Has the daemon verify a layer of the claim, matrix by matrix, with its scales and its
 * reference (pair->latents is CONTENT_NONE if there is none). Collects reports and
 * findings, and counts the layer as examined. */
int verify_layer(struct verifying *v, const struct match_pair *pair);

/* Compares a tensor that is not a layer byte for byte with the latents' tensor. */
int verify_other(struct verifying *v, const struct match_pair *pair);

#endif
