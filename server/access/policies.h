/* SPDX-License-Identifier: Apache-2.0 */
/* The names of policies, as the token file and messages have them. */
#ifndef ACCESS_POLICIES_H
#define ACCESS_POLICIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/policy.h"

enum { POLICY_LIST_BYTES = 64 }; /* all names, with commas and the NUL */

const char *policy_name(enum policy policy);

/* The policy of this name. POLICY_NONE: there is none that a rule can grant. */
enum policy policy_by_name(const char *name);

/* The policies of a set of bits: "read,verify". */
void policy_list(uint32_t bits, char text[POLICY_LIST_BYTES]);

#endif
