/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails on purpose, underneath SQLite: the nth write, flush or cut
 * from now on gives "disk full" (writes) or an I/O error (flushes). And SQLite's
 * allocator, made to obey tests/lib/fault.h. */
#ifndef TESTS_STORE_FAULTS_H
#define TESTS_STORE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* Once, before any store opens. */
void store_faults_init(void);

/* `sticky`: the nth and all that follow. */
void disk_arm(uint64_t nth, bool sticky);

/* The disk is well again. True when it had failed. */
bool disk_disarm(void);

#endif
