/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/health.h"

#include <string.h>

static const char *const names[] = {
    [TRIT_HEALTH_ABSENT] = "",
    [TRIT_HEALTHY] = "healthy",
    [TRIT_HEALTH_WARNING] = "warning",
    [TRIT_HEALTH_FAILING] = "failing",
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

const char *health_name(enum trit_health health)
{
    return (unsigned)health < NAMES ? names[health] : names[TRIT_HEALTH_FAILING];
}

enum trit_health health_by_name(const char *name)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (strcmp(names[i], name) == 0)
            return (enum trit_health)i;
    return TRIT_HEALTH_FAILING;
}
