/* SPDX-License-Identifier: Apache-2.0 */
/* The projection of a checkpoint: a copy in which the layers are ternary.
 *
 * 1. The caller opens the input (input_read), fills in the members above `plan`, and makes
 *    the plan. project_probe refuses layers that are ternary already.
 * 2. The caller opens the writer of the plan (drive/planned.h).
 * 3. project_run: the engine projects each layer and the results are written; every other
 *    tensor is copied. Several matrices are under way at a time (lanes.h).
 * 4. The output may be committed if project_run succeeded and `lost` is 0. */
#ifndef DRIVE_PROJECT_H
#define DRIVE_PROJECT_H

#include "checkpoint/findings.h"
#include "checkpoint/plan.h"
#include "drive/engine.h"
#include "drive/input.h"
#include "drive/plan_cursor.h"
#include "drive/progress.h"
#include "drive/resume.h"
#include "files/writer.h"

struct json_t;

struct projecting {
    const struct engine *engine;
    struct progress *progress;
    struct layer_terms terms; /* as asked for; group_size 0: the encoding's default */
    bool allow_lost;          /* a lost scale is a warning */
    enum trit_report_detail detail; /* what reports measure */
    struct input input;
    struct writer *writer;
    struct resume *resume; /* the caller's, begun with the writer; NULL: none */
    /* As that of struct verifying. */
    int (*layer)(void *owner, const char *name, const struct tensor_entry *dense,
                 struct trit_report *report, struct failure *failure);
    void *owner;
    struct plan plan;
    struct file_findings findings;
    size_t not_ternary;        /* matrices whose projection is not ternary */
    size_t lost;               /* matrices that lose scales and may not */
    struct plan_cursor cursor; /* of the next piece */
    pthread_mutex_t whole;     /* held for a large matrix with one scale */
    struct failure failure;    /* where a function returned -1 */
};

void project_init(struct projecting *p);
void project_fini(struct projecting *p); /* closes input and writer too */

/* Reads as much of each layer as it takes to tell whether it is ternary already, and refuses
 * it in the plan if it is. *count says how many. */
int project_probe(struct projecting *p, size_t *count);

/* Does the pieces of the plan. The findings are about layers in the order of the input. */
int project_run(struct projecting *p);

/* Pass: everything is ternary. */
enum trit_verdict project_verdict(const struct projecting *p);

/* The result: docs/json.md. Takes a reference to `layers`, as verify_json. */
struct json_t *project_json(const struct projecting *p, const char *input,
                            const char *output, struct json_t *layers);

#endif
