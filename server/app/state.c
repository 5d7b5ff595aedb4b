/* SPDX-License-Identifier: Apache-2.0 */
#include "app/state.h"

static const struct state_row rows[APP_STATES] = {
    [APP_STARTING] = {"starting", STATE_TO(APP_SERVING) | STATE_TO(APP_FAILED)},
    [APP_FAILED] = {"failed", STATE_TO(APP_CLOSED)},
    [APP_SERVING] = {"serving", STATE_TO(APP_DRAINING)},
    [APP_DRAINING] = {"draining", STATE_TO(APP_CLOSED)},
    [APP_CLOSED] = {"closed", 0},
};
const struct states app_states = STATES("app", rows);
