/* SPDX-License-Identifier: Apache-2.0 */
/* A verification, shared by the calls that make its steps and those that take the
 * results. */
#ifndef LIB_VERIFICATION_H
#define LIB_VERIFICATION_H

#include "checkpoint/attested.h"
#include "checkpoint/compare.h"
#include "checkpoint/foreign_scales.h"
#include "client/lib/checkpoint.h"

enum check {
    CHECK_NOTHING, /* already in the findings, or nothing to check */
    CHECK_TERNARY,
    CHECK_PROJECTION,
    CHECK_BYTES,
};

/* How a tensor of the claim is examined. */
struct step {
    enum check check;
    const struct match_pair *pair; /* or NULL: there are no latents */
    bool done;
    uint64_t noted;             /* matrices examined so far */
    struct scale_faults faults; /* of the matrix that was opened or decoded last */
};

struct trit_verification {
    const struct tensor_table *table;   /* of the claim */
    const struct tensor_table *latents; /* or NULL */
    struct record record;
    struct contents claim, of_latents;
    struct match match;
    struct step *steps; /* one for each tensor of the claim */
    bool allow_dead;
    bool has_config;   /* the claim's layers are read with a config.json */
    bool reciprocal;   /* config.json declares the claim's scales to be 1 / mean |w| */
    size_t reports;    /* bytes given so far */
    size_t explained;  /* matrices whose mismatch was explained */
    uint64_t examined; /* parameters of layers that are done */
    struct file_findings findings;
    struct attested_list digests; /* of the matrices noted so far */
    char daemon[32];              /* the version of the one that verified them */
    bool concluded;               /* whether nothing was examined has been checked */
    /* The tensor whose bytes are being compared. */
    size_t compared; /* its index, or CONTENT_NONE */
    uint64_t fed;    /* bytes of it compared so far */
    struct difference difference;
};

/* Ends the steps. FAILED_PRECONDITION: one is not done. */
int verification_conclude(struct trit_verification *v, struct failure *failure);

/* Parameters of the claim that were not examined. */
uint64_t verification_kept(const struct trit_verification *v);

#endif
