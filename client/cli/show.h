/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a file as a command shows them: a table and lines of findings, or
 * reports for JSON and for --report. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "checkpoint/findings.h"
#include "client/cli/cli.h"
#include "client/cli/summary.h"

struct json_t;

struct showing {
    struct grid *grid;      /* NULL with --json */
    struct json_t *reports; /* NULL without --json and --report */
    size_t layers;
};

/* By --json; -1 on lack of memory. */
int showing_start(struct showing *showing, const struct options *options);
void showing_end(struct showing *showing); /* harmless on a zeroed one */

/* A layer's row. `dense`: its shape. A report without a layer's name gets it. */
int showing_layer(struct showing *showing, const char *name,
                  const struct tensor_entry *dense, struct trit_report *report,
                  struct failure *failure);

/* The table, where there are layers, and the findings, a line each; -1 on lack of memory.
 */
int showing_print(const struct showing *showing, const struct file_findings *findings);

#endif
