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
    bool packs;      /* else it projects */
    char *output;    /* path of the options; NULL: it was not named */
    bool has_output; /* the table's offsets are those of an output */
    /* The layer whose bytes are being examined. */
    size_t examined; /* its index, or CONTENT_NONE */
    uint64_t fed;    /* bytes of it examined so far */
    struct ternary_probe probe;
    bool has_run;
    uint64_t rounded; /* scales of a packing, by its run */
    uint64_t *noted;  /* for each tensor of the input: matrices whose report was added */
    struct file_findings findings;
};

/* Notes the report of the layer's next matrix, which is tensor `index` of the input. */
int plan_note_report(struct trit_plan *plan, size_t index,
                     const struct trit_report *report, bool allow_lost,
                     struct failure *failure);

/* The writer of the plan's output; NULL: it is the output of another plan. */
struct writer *output_writer(const struct trit_output *output,
                             const struct trit_plan *plan);

#endif
