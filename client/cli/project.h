/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit project`: shared by its files. */
#ifndef CLI_PROJECT_H
#define CLI_PROJECT_H

#include "checkpoint/findings.h"
#include "checkpoint/plan.h"
#include "client/cli/file.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
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
    size_t not_ternary; /* layers whose projection is not ternary */
    size_t lost;        /* layers that lose scales and may not */
    struct failure failure;
};

/* Copies a tensor byte for byte to the output. */
int project_copy(struct projecting *p, size_t index);

/* Has the daemon project a layer matrix by matrix, writes the results to the
 * output, and collects reports and findings. */
int project_layer(struct projecting *p, size_t index);

/* Checks the plan before anything is sent. Returns DONE, or names everything that is
 * refused and returns MISMATCH. Unless --again is given, it reads the layers' data to
 * find those that are ternary already. */
enum exit_code project_check(struct projecting *p);

#endif
