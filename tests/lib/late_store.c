/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/late_store.h"

#include <stdbool.h>

#include "store/store.h"
#include "tests/lib/check.h"

void __real_store_commit(struct store_put *put);
void __wrap_store_commit(struct store_put *put);

static struct store_put *waiting[LATE_COMMITS_MAX];
static unsigned count;
static bool held;

void __wrap_store_commit(struct store_put *put)
{
    if (!held) {
        __real_store_commit(put);
        return;
    }
    CHECK(count < LATE_COMMITS_MAX);
    waiting[count++] = put;
}

void late_store_hold(void)
{
    held = true;
}

unsigned late_store_waiting(void)
{
    return count;
}

void late_store_release(void)
{
    held = false;
    for (unsigned i = 0; i < count; i++)
        __real_store_commit(waiting[i]);
    count = 0;
}
