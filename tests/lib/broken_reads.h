/* SPDX-License-Identifier: Apache-2.0 */
/* A store that cannot read. Link with -Wl,--wrap for the functions of broken_reads.c. */
#ifndef TESTS_BROKEN_READS_H
#define TESTS_BROKEN_READS_H

enum broken_read {
    BROKEN_NONE,
    BROKEN_RUNS,     /* store_read_runs */
    BROKEN_HEALTH,   /* store_read_run_health, of the run "broken" */
    BROKEN_SINCE,    /* store_read_since */
    BROKEN_SEQUENCE, /* store_read_sequence */
    BROKEN_STALE,    /* store_read_stale */
};

/* Reads of this kind fail with DATA_LOSS from now on. */
void broken_reads(enum broken_read kind);

/* How often a read has failed. */
unsigned broken_reads_count(void);

#endif
