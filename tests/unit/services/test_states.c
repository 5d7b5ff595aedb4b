/* SPDX-License-Identifier: Apache-2.0 */
/* The moves of the state machines of services/ternary. */
#include "services/ternary/tensor_call.h"
#include "tests/lib/check.h"
#include "tests/lib/moves.h"

CASE(tile_moves, "a tile is filled, computed, then held or sent")
{
    check_moves(&tile_states,
                "filling>running running>done done>held done>sending held>sending");
}

CASE(pipeline_moves, "a pipeline completes once, after its last tile is merged")
{
    check_moves(&pipeline_states, "planning>filling filling>merging merging>complete");
}

CASE(report_write_moves, "a report to store is committed or dropped, once")
{
    check_moves(&report_write_states,
                "none>wanted wanted>open wanted>closed open>committing open>closed "
                "committing>closed");
}

CASE(tensor_call_moves, "a reference comes before the tensor, each once")
{
    check_moves(&tensor_call_states, "headers>reference headers>data reference>data");
}
