/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: creates all modules, connects them, starts and stops them in order. It has
 * no global state, so several apps can run in one process. */
#ifndef APP_H
#define APP_H

#include <stddef.h>

#include "base/status.h"

struct app;
struct config;

/* Starts serving. Borrows the config. On failure nothing is left behind. */
int app_start(struct app **app, const struct config *config, struct failure *failure);

/* The addresses that it serves, as in the ready line: "rpc=... http=...". */
const char *app_addresses(const struct app *app);

/* SIGHUP waits from now on until app_run. Call it first, before threads are created: before
 * there is a handler, SIGHUP would end the process. */
void app_hold_hangups(void);

/* Serves until app_stop, SIGTERM or SIGINT, then drains. Returns when everything is
 * flushed and closed. */
void app_run(struct app *app);

/* Begins to drain. A second call closes all connections immediately. Any thread, until
 * app_destroy; once the daemon has ended, it does nothing. */
void app_stop(struct app *app);

/* After app_run, or instead of it. NULL is harmless. */
void app_destroy(struct app *app);

#endif
