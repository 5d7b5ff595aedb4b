/* SPDX-License-Identifier: Apache-2.0 */
/* What this process may use of the machine: the limits of its control group (version 1 or
 * 2, and of the groups above it) and what the machine has. */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include <stdint.h>

/* `root` stands before /proc and /sys, for tests; "" otherwise. */

/* Bytes of memory. */
uint64_t machine_memory_bytes(const char *root);

/* Processors that it may run on; a quota of 1.5 processors counts as 2. At least 1. */
unsigned machine_cores(const char *root);

/* The number of the processor that the calling thread runs on just now; 0 where the system does
 * not say. */
unsigned machine_core(void);

#endif
