/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the tables of packed weights. */
#ifndef CHECKPOINT_NAMING_TABLES_H
#define CHECKPOINT_NAMING_TABLES_H

#include <stdbool.h>

/* True if the last part of the name is that of a packing's table ("scales", "qzeros",
 * "weight_scale", "absmax", ...). */
bool name_is_packing_table(const char *name);

#endif
