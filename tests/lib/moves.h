/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a state machine with a list of the moves that it may make. */
#ifndef TESTS_MOVES_H
#define TESTS_MOVES_H

#include "base/states.h"

/* `allowed` lists moves as "from>to", separated by spaces. Tries every pair of states:
 * state_try must make the moves of the list, refuse all others, and leave the state
 * unchanged when it refuses. */
void check_moves(const struct states *states, const char *allowed);

#endif
