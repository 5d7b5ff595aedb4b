/* SPDX-License-Identifier: Apache-2.0 */
/* Counts comparisons of secrets. For programs linked with -Wl,--wrap=gnutls_memcmp. */
#ifndef TESTS_COMPARED_H
#define TESTS_COMPARED_H

/* Calls of gnutls_memcmp since the last compared_reset. */
unsigned compared_count(void);
void compared_reset(void);

#endif
