/* SPDX-License-Identifier: Apache-2.0 */
#include "services/ternary/storage_check.h"

void storage_check_init(struct storage_check *check)
{
    *check = (struct storage_check){.subnormal = {0, UINT64_MAX},
                                    .non_canonical = {0, UINT64_MAX}};
}

void storage_check_add(struct storage_check *check, const struct storage_check *more,
                       uint64_t groups)
{
    if (check->subnormal.count == 0)
        check->first_subnormal = more->first_subnormal;
    if (check->non_canonical.count == 0)
        check->first_byte = more->first_byte;
    occurrences_add(&check->subnormal, &more->subnormal, groups);
    occurrences_add(&check->non_canonical, &more->non_canonical, groups);
}
