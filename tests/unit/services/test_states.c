/* SPDX-License-Identifier: Apache-2.0 */
/* The moves of the state machines of services/ternary. */
#include "services/ternary/tensor_call.h"
#include "tests/lib/check.h"
#include "tests/lib/moves.h"

static void tile_moves(void)
{
    check_moves(&tile_states,
                "filling>running running>done done>held done>sending held>sending");
}

static void pipeline_moves(void)
{
    check_moves(&pipeline_states, "planning>filling filling>merging merging>complete");
}

static void filing_moves(void)
{
    check_moves(&filing_states,
                "none>wanted wanted>open open>committing open>closed committing>closed");
}

static void tensor_call_moves(void)
{
    check_moves(&tensor_call_states, "headers>reference headers>data reference>data");
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"a tile is filled, computed, then held or sent", tile_moves},
        {"a pipeline completes once, after its last tile is merged", pipeline_moves},
        {"a filing is committed or dropped, once", filing_moves},
        {"a reference comes before the tensor, each once", tensor_call_moves},
    };

    return CHECK_RUN(cases, argc, argv);
}
