/* SPDX-License-Identifier: Apache-2.0 */
#include "base/states.h"

#include <stdio.h>
#include <stdlib.h>

bool state_try(const struct states *states, unsigned *state, unsigned to)
{
    if (*state >= states->count || to >= states->count ||
        !(states->rows[*state].next & STATE_TO(to)))
        return false;
    *state = to;
    return true;
}

void state_move(const struct states *states, unsigned *state, unsigned to)
{
    if (state_try(states, state, to))
        return;
    fprintf(stderr, "%s: state %s cannot follow state %s\n", states->machine,
            state_name(states, to), state_name(states, *state));
    abort();
}

const char *state_name(const struct states *states, unsigned state)
{
    return state < states->count ? states->rows[state].name : "unknown";
}
