/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/moves.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"

static unsigned words(const char *text)
{
    unsigned count = *text != '\0';

    for (; *text; text++)
        count += *text == ' ';
    return count;
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

void check_moves(const struct states *states, const char *allowed)
{
    unsigned count = (unsigned)states->count, made = 0;

    for (unsigned from = 0; from < count; from++)
        for (unsigned to = 0; to < count; to++) {
            unsigned state = from;
            char move[64];

            snprintf(move, sizeof(move), "%s>%s", state_name(states, from),
                     state_name(states, to));
            bool result = state_try(states, &state, to);

            if (result != has_word(allowed, move))
                check_failed(__FILE__, __LINE__, "%s: %s is %s", states->machine, move,
                             result ? "allowed" : "refused");
            CHECK_EQ(state, result ? to : from);
            made += result;
        }
    CHECK_EQ(made, words(allowed)); /* the list names no state that does not exist */
}
