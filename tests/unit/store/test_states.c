/* SPDX-License-Identifier: Apache-2.0 */
/* The moves of the store's state machines. */
#include "store/writer.h"
#include "tests/lib/check.h"
#include "tests/lib/moves.h"

CASE(put_moves, "a put is committed or aborted, once")
{
    check_moves(&put_states, "open>committing open>aborting");
}

CASE(drain_moves, "an upload waits, is notified, and may wait again")
{
    check_moves(&drain_states, "idle>waiting waiting>posted waiting>idle posted>idle");
}

CASE(upload_moves, "a failed upload stays failed")
{
    check_moves(&upload_states, "sound>broken broken>broken");
}

CASE(batch_moves, "a failed batch ends before another begins")
{
    check_moves(&batch_states, "idle>open idle>failed open>idle open>failed failed>idle");
}
