/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: wires the rooms, starts and stops them in order. The only place
 * that sees all rooms. No globals: several apps can live in one process. */
#ifndef APP_H
#define APP_H

#include <stddef.h>

#include "base/status.h"

struct app;
struct config;

/* Starts serving. Borrows the config. Where it fails, nothing is left. */
int app_start(struct app **app, const struct config *config, struct failure *failure);

/* The addresses it got, as in the ready line: "rpc=... http=...". */
const char *app_addresses(const struct app *app);

/* Serves until app_stop, SIGTERM or SIGINT (with `signals`), then drains.
 * Returns when all is flushed and closed. */
void app_run(struct app *app);

/* Begins to drain; a second time: closes at once. From any thread. */
void app_stop(struct app *app);

/* After app_run, or instead of it. NULL is harmless. */
void app_destroy(struct app *app);

#endif
