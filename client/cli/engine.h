/* SPDX-License-Identifier: Apache-2.0 */
/* An engine (drive/engine.h) that has a daemon compute. With --run the daemon stores the
 * reports. */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "client/cli/cli.h"
#include "drive/engine.h"

struct daemon_engine {
    struct engine engine; /* for the run */
    const struct options *options;
    struct trit_client *client;
};

/* Connects; complains and returns FAILED if that fails. daemon_engine_close is due either
 * way. The struct must stay where it is. */
enum exit_code daemon_engine_open(struct daemon_engine *engine,
                                  const struct options *options);
void daemon_engine_close(struct daemon_engine *engine); /* harmless on a zeroed one */

#endif
