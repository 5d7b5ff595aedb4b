/* SPDX-License-Identifier: Apache-2.0 */
#include "store/upload.h"

static const struct state_row put_rows[PUT_STATES] = {
    [PUT_OPEN] = {"open", STATE_TO(PUT_COMMITTING) | STATE_TO(PUT_ABORTING)},
    [PUT_COMMITTING] = {"committing", 0},
    [PUT_ABORTING] = {"aborting", 0},
};
const struct states put_states = STATES("put", put_rows);

static const struct state_row drain_rows[DRAIN_STATES] = {
    [DRAIN_IDLE] = {"idle", STATE_TO(DRAIN_WAITING)},
    [DRAIN_WAITING] = {"waiting", STATE_TO(DRAIN_POSTED) | STATE_TO(DRAIN_IDLE)},
    [DRAIN_POSTED] = {"posted", STATE_TO(DRAIN_IDLE)},
};
const struct states drain_states = STATES("drain", drain_rows);

static const struct state_row upload_rows[UPLOAD_STATES] = {
    [UPLOAD_SOUND] = {"sound", STATE_TO(UPLOAD_BROKEN)},
    [UPLOAD_BROKEN] = {"broken", STATE_TO(UPLOAD_BROKEN)},
};
const struct states upload_states = STATES("upload", upload_rows);
