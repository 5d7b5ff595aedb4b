/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the daemon.
 *
 *   STARTING --all modules run--> SERVING --stop--> DRAINING --idle--> CLOSED
 *      |                                                                 ^
 *      +--a module fails--> FAILED --connections are closed--------------+
 */
#ifndef APP_STATE_H
#define APP_STATE_H

#include "base/states.h"

enum app_state {
    APP_STARTING,
    APP_FAILED,
    APP_SERVING,
    APP_DRAINING,
    APP_CLOSED,
    APP_STATES
};
extern const struct states app_states;

#endif
