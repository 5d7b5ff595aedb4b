/* SPDX-License-Identifier: Apache-2.0 */
/* Which tensors that one side lacks the other has under another name. */
#ifndef CHECKPOINT_RENAMED_H
#define CHECKPOINT_RENAMED_H

#include "checkpoint/match.h"

/* Pairs a missing with an extra tensor of the same form where their names differ by a
 * prefix (wrappers such as "_orig_mod." and "module.", or any other at a dot), or where it
 * is the only one of that form on either side. The two pairs become one of MATCH_RENAMED,
 * and its hint names the option. Without memory pairs stay as they are. */
void match_find_renamed(struct match *match, const struct contents *claim,
                        const struct contents *latents);

#endif
