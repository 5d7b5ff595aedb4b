/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/compared.h"

#include <stdatomic.h>
#include <stddef.h>

static _Atomic unsigned count;

int __real_gnutls_memcmp(const void *a, const void *b, size_t bytes);
int __wrap_gnutls_memcmp(const void *a, const void *b, size_t bytes);
int __wrap_gnutls_memcmp(const void *a, const void *b, size_t bytes)
{
    atomic_fetch_add(&count, 1);
    return __real_gnutls_memcmp(a, b, bytes);
}

unsigned compared_count(void)
{
    return atomic_load(&count);
}

void compared_reset(void)
{
    atomic_store(&count, 0);
}
