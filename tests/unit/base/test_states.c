/* SPDX-License-Identifier: Apache-2.0 */
#include "base/states.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/check.h"

enum door_state { DOOR_OPEN, DOOR_SHUT, DOOR_LOCKED };

static const struct state_row rows[] = {
    [DOOR_OPEN] = {"open", STATE_TO(DOOR_SHUT)},
    [DOOR_SHUT] = {"shut", STATE_TO(DOOR_OPEN) | STATE_TO(DOOR_LOCKED)},
    [DOOR_LOCKED] = {"locked", 0},
};
static const struct states door_states = STATES("door", rows);

struct door {
    enum door_state state;
};

CASE(allowed_moves_succeed, "state_try and state_move make a move that the table allows")
{
    struct door door = {.state = DOOR_OPEN};

    CHECK(state_try(&door_states, &door.state, DOOR_SHUT));
    CHECK_EQ(door.state, DOOR_SHUT);
    state_move(&door_states, &door.state, DOOR_LOCKED);
    CHECK_EQ(door.state, DOOR_LOCKED);
}

CASE(other_moves_change_nothing,
     "state_try refuses every other move and leaves the state unchanged")
{
    struct door door = {.state = DOOR_OPEN};

    CHECK(!state_try(&door_states, &door.state, DOOR_LOCKED));
    CHECK_EQ(door.state, DOOR_OPEN);
    CHECK(!state_try(&door_states, &door.state, DOOR_OPEN)); /* not in its own row */
    CHECK(!state_try(&door_states, &door.state, DOOR_LOCKED + 1));
    CHECK_EQ(door.state, DOOR_OPEN);
}

CASE(a_final_state_stays, "no move leaves a final state")
{
    struct door door = {.state = DOOR_LOCKED};

    for (unsigned to = 0; to < door_states.count; to++)
        CHECK(!state_try(&door_states, &door.state, to));
    CHECK_EQ(door.state, DOOR_LOCKED);
}

/* What a child prints to standard error when it locks an open door. */
static int lock_an_open_door(char *text, size_t bytes)
{
    int ends[2], status;

    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct door door = {.state = DOOR_OPEN};

        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        state_move(&door_states, &door.state, DOOR_LOCKED);
        _exit(0);
    }
    close(ends[1]);
    ssize_t count = read(ends[0], text, bytes - 1);
    text[count > 0 ? count : 0] = '\0';
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

CASE(a_wrong_move_aborts,
     "state_move aborts on a move that the table does not allow, and names it")
{
    char text[200];
    int status = lock_an_open_door(text, sizeof(text));

    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    text[strcspn(text, "\n")] = '\0'; /* an emulator adds a line about the signal */
    CHECK_STR(text, "door: state locked cannot follow state open");
}

CASE(states_have_names,
     "each state has a name, and a number outside the table is unknown")
{
    CHECK_STR(state_name(&door_states, DOOR_SHUT), "shut");
    CHECK_STR(state_name(&door_states, 3), "unknown");
}
