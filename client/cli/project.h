/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit project`: shared by its files. */
#ifndef CLI_PROJECT_H
#define CLI_PROJECT_H

#include "checkpoint/findings.h"
#include "checkpoint/plan.h"
#include "client/cli/file.h"
#include "client/cli/interrupt.h"
#include "client/cli/lanes.h"
#include "client/cli/output.h"
#include "client/cli/plan_cursor.h"
#include "client/cli/progress.h"
#include "client/cli/show.h"

struct projecting {
    const struct options *options;
    struct trit_client *client;
    struct input input;
    struct plan plan;
    struct writer *writer;
    struct interrupt interrupt;
    struct progress progress;
    struct showing showing;
    struct file_findings findings;
    size_t not_ternary;        /* layers whose projection is not ternary */
    size_t lost;               /* layers that lose scales and may not */
    struct plan_cursor cursor; /* of the next piece */
    pthread_mutex_t whole;     /* held for a large matrix with one scale */
    struct failure failure;
};

/* Copies to the output every tensor that is not a layer. The daemon projects the layers
 * matrix by matrix. Writes the results, and collects reports and findings in the order of
 * the input. */
int project_pieces(struct projecting *p);

/* Checks the plan before anything is sent. Returns DONE, or names everything that is
 * refused and returns MISMATCH. Unless --again is given, it reads the layers' data to
 * find those that are ternary already. */
enum exit_code project_check(struct projecting *p);

#endif
