/* SPDX-License-Identifier: Apache-2.0 */
/* Stored reports as a table: one row each. */
#ifndef CLI_REPORT_ROWS_H
#define CLI_REPORT_ROWS_H

#include <trit.h>

#include "client/cli/cli.h"
#include "client/cli/grid.h"

enum { HEALTH_TEXT_BYTES = 256 };

/* "healthy"; "failing: dead_groups since step 120, scale_drift since step 90"; "-". */
const char *health_text(char text[HEALTH_TEXT_BYTES], const struct trit_report *report);

/* "2026-01-31 12:00:00", UTC */
enum { TIME_TEXT_BYTES = 32 };
const char *time_text(char text[TIME_TEXT_BYTES], int64_t unix_ns);

struct grid *report_rows_create(void);
void report_row(struct grid *grid, const struct trit_report *report);

/* The options of all commands about stored reports. */
#define REPORTS_OPTIONS                                                                  \
    (OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |  \
     OPTION_BIT(OPTION_HELP))

extern const struct command cmd_reports_show, cmd_reports_rewind, cmd_reports_fork,
    cmd_reports_delete, cmd_reports_compare, cmd_reports_watch;

#endif
