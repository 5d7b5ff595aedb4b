/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon that computes the matrices of a command. With --run it stores the reports. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "client/cli/cli.h"
#include "client/lib/call_engine.h"

/* Connects as cli_connect does, with its exit codes. daemon_engine_close is due either way.
 * The struct must stay where it is. */
enum exit_code daemon_engine_open(struct call_engine *engine,
                                  const struct options *options);
void daemon_engine_close(struct call_engine *engine); /* harmless on a zeroed one */

#endif
