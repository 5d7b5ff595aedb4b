/* SPDX-License-Identifier: Apache-2.0 */
/* State machines. A machine is an enum and a table that gives each state its
 * name and the states that may follow it. An object keeps the enum in a field;
 * the field changes through the two functions below and in no other way.
 *
 *     static const struct state_row rows[] = {
 *         [DOOR_OPEN] = {"open", STATE_TO(DOOR_SHUT)},
 *         [DOOR_SHUT] = {"shut", STATE_TO(DOOR_OPEN) | STATE_TO(DOOR_LOCKED)},
 *         [DOOR_LOCKED] = {"locked", 0},
 *     };
 *     static const struct states door_states = STATES("door", rows);
 *
 *     state_move(&door_states, &door->state, DOOR_SHUT); */
#ifndef BASE_STATES_H
#define BASE_STATES_H

#include <stdbool.h>
#include <stddef.h>

struct state_row {
    const char *name;
    unsigned next; /* the states that may follow: STATE_TO(a) | STATE_TO(b) */
};

struct states {
    const char *machine;          /* what moves: "session" */
    const struct state_row *rows; /* indexed by the enum */
    size_t count;
};

#define STATE_TO(state) (1u << (state))
/* clang-format off: an initializer, not a block */
#define STATES(machine_name, table)                                                      \
    {                                                                                    \
        .machine = (machine_name), .rows = (table),                                      \
        .count = sizeof(table) / sizeof((table)[0])                                      \
    }
/* clang-format on */

/* Moves *state to `to` where the table allows it. False: the table does not
 * allow it, and *state is unchanged. A state may follow itself only where the
 * table says so. */
bool state_try(const struct states *states, unsigned *state, unsigned to);

/* For a move that the caller knows to be allowed. Any other move is an error in
 * our code: prints it and aborts. */
void state_move(const struct states *states, unsigned *state, unsigned to);

/* For logs. "unknown" for a number outside the table. */
const char *state_name(const struct states *states, unsigned state);

#endif
