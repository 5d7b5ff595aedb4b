/* SPDX-License-Identifier: Apache-2.0 */
#include "web/newest_runs.h"

#include "tests/lib/check.h"

static void add(struct newest_runs *runs, int name, int64_t time)
{
    const char text[] = {(char)('a' + name), '\0'};
    const struct store_run_info info = {.run = text, .time_unix_ns = time};

    CHECK(newest_runs_add(runs, &info));
}

CASE(newest, "the newest runs are listed, wherever their names stand among the others")
{
    struct newest_runs runs = {.max = 3};

    for (int i = 0; i < 20; i++)
        add(&runs, i, i == 19 ? 99 : i * 7 % 19); /* 19 is last by name and newest */
    newest_runs_finish(&runs);
    CHECK(runs.more);
    CHECK_EQ(runs.count, 3);
    CHECK_EQ(runs.rows[0].time_unix_ns, 99);
    CHECK_EQ(runs.rows[1].time_unix_ns, 18);
    CHECK_EQ(runs.rows[2].time_unix_ns, 17);
    newest_runs_fini(&runs);
}

CASE(few, "up to the bound none is left out, and runs of one time are in order of names")
{
    struct newest_runs runs = {.max = 3};

    for (int i = 2; i >= 0; i--)
        add(&runs, i, 5);
    newest_runs_finish(&runs);
    CHECK(!runs.more);
    CHECK_EQ(runs.count, 3);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(runs.rows[i].run[0], 'a' + i);
    newest_runs_fini(&runs);
}
