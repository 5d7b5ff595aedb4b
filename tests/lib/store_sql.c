/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/store_sql.h"

#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include "tests/lib/check.h"

enum { STORE_SQL_BUSY_MS = 60000, STORE_SQL_TRIES = 60000 };

void store_file(const struct store_fixture *fixture, char path[STORE_PATH_BYTES])
{
    snprintf(path, STORE_PATH_BYTES, "%s/reports.sqlite", fixture->directory);
}

int64_t store_sql(const struct store_fixture *fixture, const char *text)
{
    char path[STORE_PATH_BYTES];
    sqlite3 *sqlite;
    int64_t number = 0;

    store_file(fixture, path);
    CHECK(sqlite3_open(path, &sqlite) == SQLITE_OK);
    sqlite3_busy_timeout(sqlite, STORE_SQL_BUSY_MS); /* the store may be writing */
    while (text[0]) {
        sqlite3_stmt *statement;

        if (sqlite3_prepare_v2(sqlite, text, -1, &statement, &text) != SQLITE_OK)
            check_failed(__FILE__, __LINE__, "%s", sqlite3_errmsg(sqlite));
        number = sqlite3_step(statement) == SQLITE_ROW
                     ? sqlite3_column_int64(statement, 0)
                     : 0;
        if (sqlite3_finalize(statement) != SQLITE_OK)
            check_failed(__FILE__, __LINE__, "%s", sqlite3_errmsg(sqlite));
    }
    CHECK(sqlite3_close(sqlite) == SQLITE_OK);
    return number;
}

void store_sql_until(const struct store_fixture *fixture, const char *text,
                     int64_t number)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int64_t found = store_sql(fixture, text);

    for (int i = 0; found != number && i < STORE_SQL_TRIES; i++) {
        nanosleep(&pause, NULL);
        found = store_sql(fixture, text);
    }
    if (found != number)
        check_failed(__FILE__, __LINE__, "%s is still %lld, not %lld", text,
                     (long long)found, (long long)number);
}

void store_sql_until_uploads(const struct store_fixture *fixture, int64_t number)
{
    store_sql_until(fixture, "SELECT COUNT(DISTINCT upload) FROM codes", number);
}
