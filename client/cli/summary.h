/* SPDX-License-Identifier: Apache-2.0 */
/* Text for the report of a layer: a table row and a verdict. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include <trit.h>

#include "client/cli/grid.h"

enum { VERDICT_BYTES = 96 };

/* True if the report's own verdict is pass. */
bool report_passes(const struct trit_report *report);

const char *verdict_text(char text[VERDICT_BYTES], const struct trit_report *report);

/* The table of `trit project` and `trit verify`. */
struct grid *summary_create(void);
void summary_row(struct grid *grid, const char *layer, const char *shape,
                 const struct trit_report *report);

/* Cells that other tables share. */
void share_cell(struct grid *grid, uint64_t part, uint64_t whole); /* "31.2 %" */
void scale_cell(struct grid *grid, const struct trit_report *report);

#endif
