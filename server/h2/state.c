/* SPDX-License-Identifier: Apache-2.0 */
/* The states of sessions and streams, and what every other file of this module
 * does to a session: wake its carrier, fail it, drain it, count what its peer
 * does wrong.
 *
 * A session is open, then draining, then drained: this is the orderly end.
 * Failed: the peer broke the rules, and one GOAWAY is still to be sent. Broken:
 * memory ran out where nghttp2 cannot go back. A failed or broken session takes
 * no more input. Every session ends in h2_destroy, which closes its streams. */
#include "h2/impl.h"

enum {
    /* A peer that acknowledges every DATA frame with two WINDOW_UPDATEs and
     * sends PINGs in between stays even. */
    CONTROL_FRAMES_PER_USEFUL_FRAME = 4,
    USEFUL_DATA_BYTES = 64, /* a smaller DATA frame does not count as useful */
};

static const struct state_row session_rows[SESSION_STATES] = {
    [SESSION_OPEN] = {"open", STATE_TO(SESSION_DRAINING) | STATE_TO(SESSION_DRAINED) |
                                  STATE_TO(SESSION_FAILED) | STATE_TO(SESSION_BROKEN)},
    [SESSION_DRAINING] = {"draining", STATE_TO(SESSION_DRAINED) |
                                          STATE_TO(SESSION_FAILED) |
                                          STATE_TO(SESSION_BROKEN)},
    [SESSION_DRAINED] = {"drained", STATE_TO(SESSION_FAILED) | STATE_TO(SESSION_BROKEN)},
    [SESSION_FAILED] = {"failed", STATE_TO(SESSION_BROKEN)},
    [SESSION_BROKEN] = {"broken", 0},
};
static const struct states session_states = STATES("session", session_rows);

static const struct state_row stream_rows[STREAM_STATES] = {
    [STREAM_OPENING] = {"opening", STATE_TO(STREAM_OPEN) | STATE_TO(STREAM_RESET) |
                                       STATE_TO(STREAM_CLOSED)},
    [STREAM_OPEN] = {"open", STATE_TO(STREAM_RESPONDING) | STATE_TO(STREAM_ENDING) |
                                 STATE_TO(STREAM_RESET) | STATE_TO(STREAM_CLOSED)},
    [STREAM_RESPONDING] = {"responding", STATE_TO(STREAM_FINISHING) |
                                             STATE_TO(STREAM_RESET) |
                                             STATE_TO(STREAM_CLOSED)},
    [STREAM_FINISHING] = {"finishing", STATE_TO(STREAM_ENDING) | STATE_TO(STREAM_RESET) |
                                           STATE_TO(STREAM_CLOSED)},
    [STREAM_ENDING] = {"ending", STATE_TO(STREAM_ENDED) | STATE_TO(STREAM_RESET) |
                                     STATE_TO(STREAM_CLOSED)},
    [STREAM_ENDED] = {"ended", STATE_TO(STREAM_CLOSED)},
    [STREAM_RESET] = {"reset", STATE_TO(STREAM_CLOSED)},
    [STREAM_CLOSED] = {"closed", 0},
};
const struct states stream_states = STATES("stream", stream_rows);

const uint8_t session_drain_ping[8] = "tritdend";

bool session_takes_input(const struct h2_session *session)
{
    return session->state != SESSION_FAILED && session->state != SESSION_BROKEN;
}

void session_wake(struct h2_session *session)
{
    if (session->in_io || session->output_notified)
        return;
    session->output_notified = true;
    session->wake(session->waker);
}

void session_break(struct h2_session *session)
{
    if (session->state != SESSION_BROKEN)
        state_move(&session_states, &session->state, SESSION_BROKEN);
}

void session_batch_end(struct h2_session *session)
{
    if (session->stream_count == 0)
        recycler_trim(&session->recycler, RECYCLER_IDLE_BYTES_MAX);
    account_batch_end(session->account);
}

void session_check(struct h2_session *session, int nghttp2_code)
{
    if (nghttp2_is_fatal(nghttp2_code)) {
        session_break(session);
        session_wake(session); /* h2_produce reports it */
    }
}

void session_fail(struct h2_session *session, uint32_t code, const char *reason)
{
    if (!state_try(&session_states, &session->state, SESSION_FAILED))
        return; /* the first failure counts */
    session->fail_reason = reason;
    session->counters.floods += code == NGHTTP2_ENHANCE_YOUR_CALM;
    session_check(session, nghttp2_session_terminate_session(session->ng, code));
    session_wake(session);
}

void session_glitch(struct h2_session *session)
{
    session->counters.glitches++;
    if (!meter_take(&session->glitches))
        session_fail(session, NGHTTP2_ENHANCE_YOUR_CALM, "too many protocol errors");
}

void session_useful(struct h2_session *session, uint8_t frame_type, size_t bytes)
{
    if (frame_type == NGHTTP2_HEADERS ||
        (frame_type == NGHTTP2_DATA && bytes >= USEFUL_DATA_BYTES))
        meter_give(&session->control_frames, CONTROL_FRAMES_PER_USEFUL_FRAME);
}

void h2_drain(struct h2_session *session)
{
    if (!state_try(&session_states, &session->state, SESSION_DRAINING))
        return;
    session_check(session, nghttp2_submit_shutdown_notice(session->ng));
    session_check(
        session, nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, session_drain_ping));
    session_wake(session);
}

void h2_drain_finish(struct h2_session *session)
{
    if (!state_try(&session_states, &session->state, SESSION_DRAINED))
        return;
    session->goaway_due = true;
    session_wake(session);
}

void session_submit_goaway(struct h2_session *session)
{
    if (!session->goaway_due || session->state != SESSION_DRAINED)
        return;
    session->goaway_due = false;
    session->final_id = nghttp2_session_get_last_proc_stream_id(session->ng);
    session_check(session,
                  nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, session->final_id,
                                        NGHTTP2_NO_ERROR, NULL, 0));
}

bool session_covers(const struct h2_session *session, int32_t id)
{
    return session->state != SESSION_DRAINED || session->goaway_due ||
           id <= session->final_id;
}
