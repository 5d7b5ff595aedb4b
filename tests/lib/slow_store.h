/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose reads of one report wait until the test lets them go on. Link with
 * -Wl,--wrap=store_read_report. */
#ifndef TESTS_SLOW_STORE_H
#define TESTS_SLOW_STORE_H

/* From now on reads wait. */
void slow_store_hold(void);

/* Until a read waits. */
void slow_store_wait(void);

/* All reads go on. */
void slow_store_release(void);

/* How many there were since slow_store_hold. */
unsigned slow_store_reads(void);

#endif
