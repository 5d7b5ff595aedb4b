/* SPDX-License-Identifier: Apache-2.0 */
#include "access/policies.h"

#include <stdio.h>
#include <string.h>

static const char *const names[POLICIES] = {
    [POLICY_NONE] = "none",       [POLICY_EVERYONE] = "everyone",
    [POLICY_READ] = "read",       [POLICY_VERIFY] = "verify",
    [POLICY_PROJECT] = "project", [POLICY_LAYERS] = "layers",
    [POLICY_ADMIN] = "admin",     [POLICY_CHECKPOINTS] = "checkpoints",
};

const char *policy_name(enum policy policy)
{
    return policy < POLICIES ? names[policy] : names[POLICY_NONE];
}

enum policy policy_by_name(const char *name)
{
    for (unsigned policy = POLICY_READ; policy < POLICIES; policy++)
        if (strcmp(names[policy], name) == 0)
            return (enum policy)policy;
    return POLICY_NONE;
}

void policy_list(uint32_t bits, char text[POLICY_LIST_BYTES])
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned policy = POLICY_READ; policy < POLICIES; policy++)
        if (bits & (1u << policy))
            used += (size_t)snprintf(text + used, POLICY_LIST_BYTES - used, "%s%s",
                                     used ? "," : "", names[policy]);
}
