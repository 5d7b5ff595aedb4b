/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to `trit pack` and `trit unpack`: shared by their files. */
#ifndef CLI_PACK_H
#define CLI_PACK_H

#include "client/cli/interrupt.h"
#include "client/cli/lanes.h"
#include "client/cli/plan_cursor.h"
#include "client/cli/progress.h"
#include "client/cli/side.h"
#include "files/writer.h"

struct packing_run {
    const struct options *options;
    const char *command; /* "pack" or "unpack" */
    struct trit_client *client;
    struct side input;
    struct plan plan;
    struct writer *writer;
    struct interrupt interrupt;
    struct progress progress;
    struct plan_cursor cursor; /* of the next piece */
    pthread_mutex_t whole;     /* held for a matrix that is in memory as a whole */
    uint64_t rounded;          /* scales that were rounded to the output's type */
    struct failure failure;
};

/* Has the daemon pack or unpack the layers matrix by matrix and writes the results; copies
 * every other tensor. */
int pack_pieces(struct packing_run *p);

#endif
