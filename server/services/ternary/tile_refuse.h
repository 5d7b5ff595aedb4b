/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TERNARY_TILE_REFUSE_H
#define TERNARY_TILE_REFUSE_H

#include "services/ternary/tile.h"

/* -1: the result of a computed tile fails its tensor, which messages call `field`. */
int tile_refuse(const struct tile *tile, const struct task *task, const char *field,
                struct failure *failure);

#endif
