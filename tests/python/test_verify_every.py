# SPDX-License-Identifier: Apache-2.0
"""verify_every does not end a training, and finds the run's attempt by itself."""

import copy
import logging
import pickle

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import trit  # noqa: E402
import trit.torch as tt  # noqa: E402
from daemon import Daemon  # noqa: E402

SECONDS = 60


def drawn(seed=1):
    torch.manual_seed(seed)
    return tt.convert(nn.Sequential(nn.Linear(128, 8), nn.ReLU(), nn.Linear(8, 4)))


def change(model):
    """What a training step does, as far as a verification can tell."""
    with torch.no_grad():
        for one in model.parameters():
            one.neg_()


# While the daemon is gone a verification gives no reports; each failure is counted and the
# first one logged. When it is back, the next step is verified. strict=True raises.
def test_a_daemon_that_is_gone_ends_no_run(tmp_path, caplog):
    socket = f"unix:{tmp_path}/rpc"
    daemon = Daemon(tmp_path, "--listen", socket)
    model, seen = drawn(), []
    try:
        with trit.Client(socket, timeout=SECONDS) as client:
            after_step = tt.verify_every(
                model, "run", 1, client, lambda step, reports: seen.append((step, len(reports)))
            )
            assert set(after_step(1)) == {"0", "2"} and after_step.failures == {}
            daemon.kill()
            assert [after_step(step) for step in (2, 3)] == [{}, {}]
            assert after_step.failures == {"UNAVAILABLE": 2}
            (logged,) = [one for one in caplog.records if one.name == "trit"]
            assert logged.levelno == logging.WARNING
            assert "0 was not verified at step 2: UNAVAILABLE: " in logged.getMessage()
            with pytest.raises(trit.Unavailable):
                tt.verify_every(model, "run", 1, client, strict=True)(4)
            daemon = Daemon(tmp_path, "--listen", socket)
            assert set(after_step(4)) == {"0", "2"}
            assert seen == [(1, 2), (2, 0), (3, 0), (4, 2)]
            assert sorted(after_step.history) == [1, 2, 3, 4] and after_step.history[3] == {}
            assert [one.step for one in client.reports.list("run", "0")] == [1, 4]
    finally:
        daemon.kill()


# A rank whose weights differ is counted under ALREADY_EXISTS; its equal layers are verified.
def test_a_rank_astray_is_counted(client, run, caplog):
    model = drawn()
    tt.verify_every(model, run, 1, client)(5)
    astray = copy.deepcopy(model)
    with torch.no_grad():
        astray[0].weight.neg_()
    after_step = tt.verify_every(astray, run, 1, client)
    assert set(after_step(5)) == {"2"} and after_step.failures == {"ALREADY_EXISTS": 1}
    change(astray)
    after_step(6)
    tt.verify_every(model, run, 1, client)(7)
    assert set(after_step(7)) == {"0"} and after_step.failures == {"ALREADY_EXISTS": 2}
    assert len([one for one in caplog.records if one.name == "trit"]) == 1
    with pytest.raises(trit.AlreadyExists):
        tt.verify_every(astray, run, 1, client, strict=True)(7)


# Without a client, too, and with a step that is none the caller is told.
def test_what_else_may_fail(run):
    after_step = tt.verify_every(drawn(), run, 1)
    assert after_step(1) == {} and after_step.failures == {"FAILED_PRECONDITION": 2}
    with pytest.raises(trit.FailedPrecondition):
        tt.verify_every(drawn(), run, 1, strict=True)(1)
    for step in (-1, "1", 1.5, None):
        with pytest.raises(trit.InvalidArgument, match="step"):
            after_step(step)
    with pytest.raises(trit.InvalidArgument, match="strict"):
        tt.verify_every(drawn(), run, 1, strict=1)


# It is pickled with its model, as by the checkpoint of a trainer, and goes on where it was.
def test_it_can_be_pickled(client, run):
    after_step = tt.verify_every(drawn(), run, 10, client, strict=True)
    after_step(10), after_step(20)
    again = pickle.loads(pickle.dumps(after_step))
    assert set(again.history) == {10, 20}
    assert {one.attempt for one in again(30).values()} == {1}
    assert {one.attempt for one in again(20).values()} == {2}


# A callback's own exception is the caller's.
def test_a_callback_may_raise(client, run):
    def fail(step, reports):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tt.verify_every(drawn(), run, 1, client, fail)(1)


def steps_of(client, run, attempt):
    return [
        (one.step, one.attempt, one.superseded)
        for one in client.reports.list(run, "0", attempt=attempt)
    ]


# A job that starts again from an older checkpoint goes on in the run's next attempt, also if
# its weights differ now; so does a job that goes back by itself. All ranks have one attempt.
def test_a_step_below_the_newest_begins_an_attempt(client, run):
    model = drawn()
    first = tt.verify_every(model, run, 10, client, strict=True)
    for step in (10, 20, 30):
        first(step)
        change(model)
    ranks = [tt.verify_every(copy.deepcopy(model), run, 10, client, strict=True) for _ in "abc"]
    for step in (20, 30, 40):
        for again in ranks:
            assert {one.attempt for one in again(step).values()} == {2}
    assert steps_of(client, run, 2)[-3:] == [(20, 2, False), (30, 2, False), (40, 2, False)]
    assert [one[:2] for one in steps_of(client, run, 1)] == [(10, 1), (20, 1), (30, 1)]
    for again in ranks:
        assert {one.attempt for one in again(10).values()} == {3}
    for again in ranks:
        assert {one.attempt for one in again(20).values()} == {3}
    # The job that was left behind is told.
    with pytest.raises(trit.FailedPrecondition):
        first(40)


# A job that starts again at or above the newest step stays in its attempt.
def test_a_step_from_the_newest_on_stays_in_the_attempt(client, run):
    model = drawn()
    tt.verify_every(model, run, 10, client)(10)
    again = tt.verify_every(model, run, 10, client, strict=True)
    assert {one.attempt for step in (10, 20) for one in again(step).values()} == {1}


# A job that starts again before the newest step and comes to it verifies its own weights there,
# also if they differ, and counts flips from its own steps on; so does each of its ranks.
def test_a_job_that_comes_back_to_the_newest_step_begins_an_attempt(client, run):
    model = drawn()
    first = tt.verify_every(model, run, 10, client, strict=True)
    for step in (10, 20):
        first(step)
        change(model)
    ranks = [tt.verify_every(copy.deepcopy(model), run, 10, client, strict=True) for _ in "ab"]
    for step in range(15, 31):
        for again in ranks:
            reports = again(step)
            if step % 10 == 0:
                assert {one.attempt for one in reports.values()} == {2}
                assert {one.previous_step for one in reports.values()} == {step - 10}
                assert {one.flips for one in reports.values()} == {0}
    assert [one[:2] for one in steps_of(client, run, 0)] == [(10, 1), (20, 2), (30, 2)]


# A job that starts again right behind the newest step stays in its attempt. A first step that
# reaches no daemon raises nothing and counts no failure.
def test_a_first_step_that_is_not_verified_fails_in_silence(client, run):
    model = drawn()
    tt.verify_every(model, run, 10, client)(10)
    again = tt.verify_every(model, run, 10, client, strict=True)
    assert again(11) is None and again(12) is None
    assert {one.attempt for one in again(20).values()} == {1}
    with trit.Client("127.0.0.1:1", timeout=SECONDS) as unreachable:
        without_daemon = tt.verify_every(model, run, 10, unreachable, strict=True)
        assert without_daemon(21) is None and without_daemon.failures == {}
    without_daemon._client = client
    assert {one.attempt for one in without_daemon(30).values()} == {1}


# A step that could not be verified while its attempt began does not lose the attempt.
def test_an_attempt_begins_though_its_first_step_fails(client, run):
    model = drawn()
    after_step = tt.verify_every(model, run, 10, client)
    after_step(10), after_step(20)
    with trit.Client("127.0.0.1:1", timeout=SECONDS) as nobody:
        after_step._client = nobody
        assert after_step(10) == {} and after_step.failures == {"UNAVAILABLE": 1}
    after_step._client = client
    change(model)
    assert {one.attempt for one in after_step(20).values()} == {2}
