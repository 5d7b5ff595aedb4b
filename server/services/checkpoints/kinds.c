/* SPDX-License-Identifier: Apache-2.0 */
#include "services/checkpoints/kinds.h"

#include <string.h>

#include "services/checkpoints/runs.h"

const struct job_kind *job_kind_named(const char *name)
{
    static const struct job_kind *const kinds[] = {&job_inspect, &job_plan, &job_verify,
                                                   &job_project, &job_pack, &job_diff};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}
