/* SPDX-License-Identifier: Apache-2.0 */
/* Scales for groups of another size. */
#include "checkpoint/regroup.h"

#include <string.h>

#include "tests/lib/check.h"

CASE(shorter, "a scale stands for each shorter group, also where the last one is cut")
{
    const struct regroup how = {
        .rows = 2, .columns = 100, .width = 2, .from = 64, .to = 32};
    struct failure failure = {.status = TRIT_OK};
    char out[16];

    CHECK_EQ(regroup_bytes(&how), 16);
    CHECK_EQ(regroup_scales(&how, "aabbccdd", out, &failure), 0);
    CHECK(memcmp(out, "aaaabbbbccccdddd", 16) == 0);
}

CASE(longer, "a longer group has the scale that its groups share")
{
    const struct regroup how = {
        .rows = 2, .columns = 80, .width = 1, .from = 16, .to = 32};
    struct failure failure = {.status = TRIT_OK};
    char out[6];

    CHECK_EQ(regroup_bytes(&how), 6);
    CHECK_EQ(regroup_scales(&how, "aabbcddeef", out, &failure), 0);
    CHECK(memcmp(out, "abcdef", 6) == 0);
}

CASE(refusals,
     "the first group whose scales differ is named, and sizes that do not divide")
{
    struct regroup how = {.rows = 2, .columns = 64, .width = 1, .from = 16, .to = 32};
    struct failure failure = {.status = TRIT_OK};
    char out[8];

    CHECK(regroup_scales(&how, "aabbccde", out, &failure) < 0);
    CHECK_EQ(failure.status, TRIT_INVALID_ARGUMENT);
    CHECK_STR(failure.message,
              "group 3: its groups of 16 weights have different scales; a "
              "group of 32 has one");
    failure = (struct failure){.status = TRIT_OK};
    how.to = 24;
    CHECK(regroup_scales(&how, "aabbccdd", out, &failure) < 0);
    CHECK_STR(failure.message,
              "group 0: groups of 16 weights cannot become groups of 24");
}
