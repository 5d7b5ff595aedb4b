/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a layer's health. */
#ifndef PROTO_HEALTH_H
#define PROTO_HEALTH_H

#include "trit/types.h"

/* "healthy", "warning", "failing"; "" for TRIT_HEALTH_ABSENT. */
const char *health_name(enum trit_health health);
/* "" is TRIT_HEALTH_ABSENT. An unknown name is TRIT_HEALTH_FAILING: a state that this
 * build does not know must not look healthy. */
enum trit_health health_by_name(const char *name);

#endif
