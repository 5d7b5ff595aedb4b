/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose commits wait until the test lets them go, as on a disk that hangs. Test
 * programs that are linked with --wrap=store_commit use it. */
#ifndef TESTS_LIB_LATE_STORE_H
#define TESTS_LIB_LATE_STORE_H

/* Commits wait from now on. */
void late_store_hold(void);

/* How many wait, at most LATE_COMMITS_MAX. */
enum { LATE_COMMITS_MAX = 8 };
unsigned late_store_waiting(void);

/* Makes the commits that wait, in their order; later ones do not wait. */
void late_store_release(void);

#endif
