/* SPDX-License-Identifier: Apache-2.0 */
/* --check-config and --check-data: questions that are answered without a daemon. */
#ifndef APP_CHECK_H
#define APP_CHECK_H

#include <stdint.h>

#include "base/status.h"

struct config;

struct kernels;

/* Reads the rules of --retain. INVALID_ARGUMENT. */
struct store_retention;
int config_retention(const struct config *config, struct store_retention *retention,
                     struct failure *failure);

/* The kernels that --isa names. INVALID_ARGUMENT: unknown, or not supported by this CPU. */
int config_kernels(const struct config *config, const struct kernels **kernels,
                   struct failure *failure);

/* Whether a daemon with this configuration could start. Starts nothing and leaves nothing behind. The failure names the option and the value.
 * An address or a data directory that a running daemon holds passes. */
int config_check(const struct config *config, struct failure *failure);

/* --check-data: reads everything in the data directory and prints each fault and then the
 * counts to standard output. Returns how many faults there are, or -1. */
int64_t data_check(const struct config *config, struct failure *failure);

#endif
