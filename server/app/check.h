/* SPDX-License-Identifier: Apache-2.0 */
/* --check-config: whether a daemon with this configuration could start. */
#ifndef APP_CHECK_H
#define APP_CHECK_H

#include "base/status.h"

struct config;

/* Starts nothing and leaves nothing behind. The failure names the option and the value.
 * An address or a data directory that a running daemon holds passes. */
int config_check(const struct config *config, struct failure *failure);

#endif
