/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between the codes and scales that are kept of two reports. */
#ifndef STORE_DIFFERENCE_H
#define STORE_DIFFERENCE_H

#include "store/codes.h"
#include "store/row.h"
#include "store/store.h"

/* Both have this layout: `report` is one of the two. Fills codes_differing and, if scales
 * are kept of both, scale_ratio_max; and first_group. *scales_differing: groups whose
 * scales differ. Without scales of both, the codes alone are compared. DATA_LOSS. */
int difference_of(struct db *db, const struct trit_report *report,
                  const struct kept_row *a, const struct kept_row *b,
                  struct store_difference *difference, uint64_t *scales_differing,
                  struct failure *failure);

#endif
