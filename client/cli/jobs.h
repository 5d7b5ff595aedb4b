/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `trit jobs`. */
#ifndef CLI_JOBS_H
#define CLI_JOBS_H

#include "client/cli/cli.h"

/* Options that all of them take. */
#define JOBS_OPTIONS                                                                     \
    (OPTION_BIT(OPTION_SERVER) | OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_JSON) |  \
     OPTION_BIT(OPTION_HELP))

extern const struct command cmd_jobs_attach, cmd_jobs_inspect, cmd_jobs_plan,
    cmd_jobs_verify, cmd_jobs_project, cmd_jobs_pack, cmd_jobs_unpack, cmd_jobs_diff;

#endif
