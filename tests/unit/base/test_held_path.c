/* SPDX-License-Identifier: Apache-2.0 */
#include "base/held_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/check.h"

CASE(moved,
     "a path that leads to another folder, or nowhere, is not the one that was noted")
{
    char directory[] = "/tmp/held_path.XXXXXX", folder[64], moved[64];
    struct failure failure = {0};
    struct held_path held, none;

    CHECK(mkdtemp(directory));
    snprintf(folder, sizeof(folder), "%s/folder", directory);
    snprintf(moved, sizeof(moved), "%s/moved", directory);
    held_path_note(&none, directory, "folder");
    CHECK(held_path_is_same(&none)); /* nothing was there */
    CHECK(mkdir(folder, 0700) == 0);
    held_path_note(&held, directory, "folder");
    CHECK(held_path_check(&held, "jobs", &failure) == 0);
    CHECK(rename(folder, moved) == 0);
    CHECK(!held_path_is_same(&held));
    CHECK(mkdir(folder, 0700) == 0);
    CHECK(held_path_check(&held, "jobs", &failure) == -1);
    CHECK_EQ(failure.status, TRIT_UNAVAILABLE);
    CHECK(strncmp(failure.message, "jobs: \"/tmp/held_path.", 22) == 0);
    CHECK(rmdir(folder) == 0 && rename(moved, folder) == 0);
    CHECK(held_path_is_same(&held));
    held_path_forget(&held);
    held_path_forget(&none);
    CHECK(rmdir(folder) == 0 && rmdir(directory) == 0);
}
