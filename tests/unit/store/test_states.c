/* SPDX-License-Identifier: Apache-2.0 */
/* The moves of the store's state machines. */
#include "store/writer.h"
#include "tests/lib/check.h"
#include "tests/lib/moves.h"

static void put_moves(void)
{
    check_moves(&put_states, "open>committing open>aborting");
}

static void drain_moves(void)
{
    check_moves(&drain_states, "idle>waiting waiting>posted waiting>idle posted>idle");
}

static void upload_moves(void)
{
    check_moves(&upload_states, "sound>broken broken>broken");
}

static void batch_moves(void)
{
    check_moves(&batch_states, "idle>open idle>failed open>idle open>failed failed>idle");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"a put is committed or aborted, once", put_moves},
        {"an upload waits, is told, and may wait again", drain_moves},
        {"a broken upload stays broken", upload_moves},
        {"a failed batch ends before another begins", batch_moves},
    };

    return CHECK_RUN(cases, argc, argv);
}
