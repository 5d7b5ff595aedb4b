/* SPDX-License-Identifier: Apache-2.0 */
#include "services/shared.h"

#include "obs/metrics.h"

int memory_spent(struct call *call)
{
    metric_limit(call->config->metrics, L_MEMORY);
    return fail(&call->failure, TRIT_RESOURCE_EXHAUSTED, NULL,
                "the memory budget memory_bytes_max = %llu is used up; try again later",
                (unsigned long long)call->config->limits->memory_bytes_max);
}
