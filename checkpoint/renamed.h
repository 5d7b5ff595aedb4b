/* SPDX-License-Identifier: Apache-2.0 */
/* Finds tensors that both sides have, but under different names. */
#ifndef CHECKPOINT_RENAMED_H
#define CHECKPOINT_RENAMED_H

#include "checkpoint/match.h"

/* Joins a missing and an extra tensor of the same form into one pair MATCH_RENAMED if
 * their names differ by a prefix that ends in a dot (such as the wrappers "_orig_mod."
 * and "module."), or if each is the only one of that form on its side. The hint names the
 * option that makes the names equal. If memory runs out, the pairs stay as they are. */
void match_find_renamed(struct match *match, const struct contents *claim,
                        const struct contents *latents);

#endif
