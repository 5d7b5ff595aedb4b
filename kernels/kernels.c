/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: which table, and which of its functions for an element type. */
#include "kernels/kernels.h"

#include <assert.h>
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

static bool is_element_type(enum trit_dtype dtype)
{
    return dtype >= TRIT_F32 && dtype <= TRIT_BF16;
}

void ternarize(const struct kernels *kernels, const struct ternarize_job *job,
               struct ternary_counts *counts)
{
    assert(is_element_type(job->dtype));
    kernels->ternarize[job->dtype](job, counts);
}

void verify(const struct kernels *kernels, const struct verify_job *job,
            struct ternary_counts *counts, struct ternary_check *check)
{
    assert(!job->reference || is_element_type(job->reference_dtype));
    if (job->encoding != TRIT_ENCODING_DENSE) {
        kernels->verify_packed(job, counts, check);
        return;
    }
    assert(is_element_type(job->dtype));
    kernels->verify_dense[job->dtype](job, counts, check);
}

int unpack(const struct kernels *kernels, const struct unpack_job *job,
           struct unpack_refusal *refused)
{
    assert(is_element_type(job->dtype));
    return kernels->unpack[job->dtype](job, refused);
}
