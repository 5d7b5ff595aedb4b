/* SPDX-License-Identifier: Apache-2.0 */
/* The database file of a fixture's store, seen from outside: for tests that damage
 * it, or look at what lies in it. */
#ifndef TESTS_STORE_SQL_H
#define TESTS_STORE_SQL_H

#include "tests/lib/store_fixture.h"

enum { STORE_PATH_BYTES = FIXTURE_PATH_BYTES + 32 };

void store_file(const struct store_fixture *fixture, char path[STORE_PATH_BYTES]);

/* Runs statements; gives the first number that the last one yields, or 0. */
int64_t store_sql(const struct store_fixture *fixture, const char *text);

/* Runs the statement again and again until it yields the number. Use it for what the store
 * does after it has acknowledged a report, such as deleting old codes. */
void store_sql_until(const struct store_fixture *fixture, const char *text,
                     int64_t number);

/* Waits until the database has the codes of so many uploads. */
void store_sql_until_uploads(const struct store_fixture *fixture, int64_t number);

#endif
