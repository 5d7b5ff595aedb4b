/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint/regroup.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/number.h"

static uint64_t groups_in_row(const struct regroup *regroup, uint32_t size)
{
    return div_up(regroup->columns, size);
}

uint64_t regroup_bytes(const struct regroup *regroup)
{
    return regroup->rows * groups_in_row(regroup, regroup->to) * regroup->width;
}

static int regroup_row(const struct regroup *regroup, uint64_t row, const char *old,
                       char *new, struct failure *failure)
{
    const uint64_t count = groups_in_row(regroup, regroup->to);
    const size_t width = regroup->width;

    for (uint64_t i = 0; i < count; i++) {
        const uint64_t end = u64_min((i + 1) * regroup->to, regroup->columns);
        const uint64_t first = i * regroup->to / regroup->from;
        const uint64_t last = (end - 1) / regroup->from;

        memcpy(new + i *width, old + first * width, width);
        for (uint64_t k = first + 1; k <= last; k++)
            if (memcmp(old + first * width, old + k * width, width) != 0)
                return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                            "group %" PRIu64 ": its groups of %u weights have different "
                            "scales; a group of %u has one",
                            row * count + i, regroup->from, regroup->to);
    }
    return 0;
}

int regroup_scales(const struct regroup *regroup, const void *scales, void *regrouped,
                   struct failure *failure)
{
    const uint64_t old = groups_in_row(regroup, regroup->from) * regroup->width;
    const uint64_t new = groups_in_row(regroup, regroup->to) * regroup->width;

    if (regroup->from % regroup->to != 0 && regroup->to % regroup->from != 0)
        return fail(failure, TRIT_INVALID_ARGUMENT, NULL,
                    "group 0: groups of %u weights cannot become groups of %u",
                    regroup->from, regroup->to);
    for (uint64_t row = 0; row < regroup->rows; row++)
        if (regroup_row(regroup, row, (const char *)scales + row * old,
                        (char *)regrouped + row * new, failure) < 0)
            return -1;
    return 0;
}
