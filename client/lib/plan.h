/* SPDX-License-Identifier: Apache-2.0 */
/* A plan, shared by the calls about plans and outputs. */
#ifndef LIB_PLAN_H
#define LIB_PLAN_H

#include "checkpoint/plan.h"
#include "checkpoint/ternary.h"
#include "client/lib/checkpoint.h"

struct trit_plan {
    const struct trit_checkpoint *input;
    struct plan plan;
    bool again;
    bool has_output; /* the table's offsets are those of an output */
    /* The layer whose bytes are being examined. */
    size_t examined; /* its index, or CONTENT_NONE */
    uint64_t fed;    /* bytes of it examined so far */
    struct ternary_probe probe;
    uint64_t *noted; /* for each tensor of the input: matrices whose report was added */
    struct file_findings findings;
};

#endif
