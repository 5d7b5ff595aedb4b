/* SPDX-License-Identifier: Apache-2.0 */
/* Work of one connection and one class of cost, as work/turns.h orders it. */
#ifndef BASE_FLOW_H
#define BASE_FLOW_H

#include <stdint.h>

struct flow {
    uint64_t turn;       /* of the newest ticket */
    uint64_t backlog_ns; /* work of its tickets that is not done */
    uint64_t tickets;    /* open */
};

#endif
