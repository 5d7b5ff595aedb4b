/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of a checkpoint whose layers are ternary already, in another encoding, or dense
 * (unpacked). Trits and scales stay as they are.
 *
 * 1. The caller opens the input, reads its contents (drive/side.h), makes the plan
 *    (plan_create_pack), and fills in the members above `plan`.
 * 2. The caller opens the writer of the plan (drive/planned.h).
 * 3. pack_run: the engine packs each layer and the results are written; every other tensor is
 *    copied. Several matrices are under way at a time (lanes.h).
 * 4. The output may be committed if pack_run succeeded. */
#ifndef DRIVE_PACK_H
#define DRIVE_PACK_H

#include <pthread.h>

#include "checkpoint/plan.h"
#include "drive/engine.h"
#include "drive/plan_cursor.h"
#include "drive/progress.h"
#include "drive/side.h"
#include "files/writer.h"

struct json_t;
struct resume;

struct repacking {
    const struct engine *engine;
    struct progress *progress;
    bool allow_rounded; /* scales that the output's type does not hold are rounded */
    enum trit_report_detail detail; /* what reports measure */
    struct side input;
    struct writer *writer;
    struct resume *resume; /* the caller's, begun with the writer; NULL: none */
    /* As that of struct verifying, for matrices that have a report: not those that are
     * unpacked, and not large ones in or from hf_bitnet. Or NULL. */
    int (*layer)(void *owner, const char *name, const struct tensor_entry *dense,
                 struct trit_report *report, struct failure *failure);
    void *owner;
    struct plan plan;
    struct plan_cursor cursor; /* of the next piece */
    uint64_t rounded;          /* scales that were rounded to the output's type */
    pthread_mutex_t whole;     /* held for a large matrix with one scale */
    struct failure failure;    /* where a function returned -1 */
};

void pack_init(struct repacking *p);
void pack_fini(struct repacking *p); /* closes input and writer too */

/* Does the pieces of the plan. INVALID_ARGUMENT: a layer does not fit the encoding; the message names it and the first
 * group. */
int pack_run(struct repacking *p);

/* The result: docs/json.md. */
struct json_t *pack_json(const struct repacking *p, const char *input,
                         const char *output);

#endif
