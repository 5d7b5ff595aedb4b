/* SPDX-License-Identifier: Apache-2.0 */
/* A small store that a test has damaged, and what it still answers: runs a and b, of
 * layers x and y, of steps 10, 20 and 30, with codes. */
#ifndef TESTS_STORE_DAMAGED_H
#define TESTS_STORE_DAMAGED_H

#include "tests/lib/store_fixture.h"

enum { DAMAGED_CODES_BYTES = 600 };

/* Filed, closed, damaged by this SQL, and open again. */
void damaged_build(struct store_fixture *fixture, const char *damage);
void damaged_open(struct store_fixture *fixture);

/* A put on its way; one that is waited for. All codes of a step are 0 or all are 1, in
 * turn. */
void damaged_start(struct store_fixture *fixture, struct fixture_put *put,
                   const char *run, const char *layer, uint64_t step, bool with_codes);
enum trit_status damaged_file(struct store_fixture *fixture, const char *run,
                              const char *layer, uint64_t step, bool with_codes,
                              struct failure *failure);

/* `failure` may be NULL. Step -1: the latest; limit 0: 100; step_to 0: all. */
enum trit_status damaged_get(struct store_fixture *fixture, const char *run,
                             const char *layer, int64_t step, struct failure *failure);
enum trit_status damaged_list(struct store_fixture *fixture, struct store_query query,
                              unsigned *count, struct failure *failure);
/* The sums of all runs, of 6 reports each, but of those of which rows are damaged. */
enum trit_status damaged_runs(struct store_fixture *fixture, unsigned *count,
                              unsigned *damaged_rows);

/* Deletes steps of a layer ("": of the run): how many reports. */
uint64_t damaged_delete(struct store_fixture *fixture, const char *run, const char *layer,
                        uint64_t from, uint64_t to, struct failure *failure);

/* Closes the store: --check-data finds nothing damaged in it. */
void check_undamaged(struct store_fixture *fixture);

/* DATA_LOSS, and the message has this in it. */
void check_names(const struct failure *failure, const char *key);
/* All that concerns neither (a, x) nor what lists of everything need. */
void check_others(struct store_fixture *fixture);

/* A list that goes on beside damage is "run/layer/step ...", with "!" behind what is damaged;
 * its caller ends it after so many rows. */
void check_beside(struct store_fixture *fixture, struct store_query query, unsigned rows,
                  const char *expected);

#endif
