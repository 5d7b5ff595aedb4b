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
    struct grid *grid;         /* NULL with --json */
    struct json_t *reports;    /* NULL without --json and --report */
    size_t layers, not_stored; /* reports that best effort did not store */
};

/* Starts in the form that --json selects. -1: memory ran out. */
int showing_start(struct showing *showing, const struct options *options);
void showing_end(struct showing *showing); /* harmless on a zeroed one */

/* Adds a layer to a struct showing. `dense` has its shape. A report without a layer's name
 * gets the name. Fits struct verifying and struct projecting. */
int showing_layer(void *arg, const char *name, const struct tensor_entry *dense,
                  struct trit_report *report, struct failure *failure);

/* Prints the table, if there are layers, one line for each finding, and how many reports
 * were not stored. -1: memory ran out. */
int showing_print(const struct showing *showing, const struct file_findings *findings);

#endif
