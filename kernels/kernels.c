/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: which table, and the operations that need no vectors of their own. */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/cpu.h"
#include "kernels/ternary/table.h"

size_t kernels_available(const struct kernels *tables[KERNELS_TABLES_MAX])
{
    size_t count = 0;
    tables[count++] = &kernels_portable;
#if defined(__x86_64__)
    if (!cpu_has_avx2())
        return count;
    tables[count++] = &kernels_avx2;
    if (!cpu_has_avx512())
        return count;
    tables[count++] = &kernels_avx512;
#elif defined(__aarch64__)
    tables[count++] = &kernels_neon; /* part of every AArch64 */
#endif
    return count;
}

const struct kernels *kernels_select(const char *name)
{
    const struct kernels *tables[KERNELS_TABLES_MAX];
    const size_t count = kernels_available(tables);
    if (!name || strcmp(name, "auto") == 0)
        return tables[count - 1];
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, tables[i]->name) == 0)
            return tables[i];
    return NULL;
}

const char *kernels_name(const struct kernels *kernels)
{
    return kernels->name;
}

void ternarize(const struct kernels *kernels, const struct ternarize_job *job,
               struct ternary_counts *counts)
{
    kernels->ternarize(job, counts);
}

void verify(const struct kernels *kernels, const struct verify_job *job,
            struct ternary_counts *counts, struct ternary_check *check)
{
    kernels->verify(job, counts, check);
}

int unpack(const struct kernels *kernels, const struct unpack_job *job, uint64_t *bad,
           bool *lost)
{
    return kernels->unpack(job, bad, lost);
}
