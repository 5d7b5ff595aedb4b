# SPDX-License-Identifier: Apache-2.0
"""A second report under a stored key: the answer is computed from the request's own bytes, and
only an equal question with an equal answer is the same report."""
import grpc
import numpy as np
import pytest

import claims
import reference as ref
from tritd import CALL_SECONDS, refused, report_pb2, tensor_pb2, ternary_pb2

EXISTS = grpc.StatusCode.ALREADY_EXISTS
ASK = [claims.verify, claims.verify_stream]
STREAMED = pytest.mark.parametrize("verify", ASK, ids=["unary", "stream"])


@pytest.fixture
def key(run):
    return tensor_pb2.LayerRef(run=run, layer="up", step=7)


def stored(daemon, key):
    return daemon.reports.Get(report_pb2.ReportsGetRequest(
        run=key.run, layer=key.layer, step=key.step), timeout=CALL_SECONDS).report


def same_but_for_time(a, b):
    a, b = type(a).FromString(a.SerializeToString()), type(b).FromString(b.SerializeToString())
    a.ClearField("time_unix_ns")
    b.ClearField("time_unix_ns")
    return a == b


def nan_under_zero(values, codes):
    values.reshape(-1)[np.flatnonzero(codes == 0)[0]] = np.nan


def nine_tenths(values, codes):
    values.reshape(-1)[np.flatnonzero(codes == 1)] *= np.float32(0.9)
    values.reshape(-1)[np.flatnonzero(codes == 1)[::9]] /= np.float32(0.9)


def last_bits(values, codes):
    values.reshape(-1).view(np.int32)[np.flatnonzero(codes == 1)[:200]] -= 40


def many_nans(values, codes):
    values.reshape(-1)[np.flatnonzero(codes == 0)[:645]] = np.nan


SPOILT = pytest.mark.parametrize("spoil", [nan_under_zero, nine_tenths, last_bits, many_nans],
                                 ids=lambda one: one.__name__)


@STREAMED
@SPOILT
def test_a_bad_tensor_is_not_answered_with_a_good_ones_report(daemon, random, key, spoil, verify):
    values, codes, _ = claims.ternary(random, rows=16)
    good = verify(daemon, values.tobytes(), values.shape, layer=key)
    spoil(values, codes)
    refused(lambda: verify(daemon, values.tobytes(), values.shape, layer=key), EXISTS,
            key.run, "up", 7)
    assert stored(daemon, key) == good


@STREAMED
@SPOILT
def test_a_good_tensor_is_not_answered_with_a_bad_ones_report(daemon, random, key, spoil, verify):
    values, codes, _ = claims.ternary(random, rows=16)
    spoilt = values.copy()
    spoil(spoilt, codes)
    bad = verify(daemon, spoilt.tobytes(), spoilt.shape, layer=key)
    refused(lambda: verify(daemon, values.tobytes(), values.shape, layer=key), EXISTS, key.run)
    assert stored(daemon, key) == bad


def test_code_3_is_not_answered_with_the_report_of_sound_blocks(daemon, random, key):
    values, _, _ = claims.ternary(random)
    packed = np.frombuffer(ref.pq2_0(*ref.project(values)), np.uint8).copy()
    ask = dict(encoding=claims.PQ2_0, layer=key)
    claims.verify(daemon, packed.tobytes(), values.shape, **ask)
    packed[2] |= 3
    refused(lambda: claims.verify(daemon, packed.tobytes(), values.shape, **ask), EXISTS)


def test_the_same_request_again_is_the_same_answer(daemon, random, key):
    values, _, _ = claims.ternary(random)
    first = claims.verify(daemon, values.tobytes(), values.shape, layer=key)
    again = claims.verify(daemon, values.tobytes(), values.shape, layer=key)
    streamed = claims.verify_stream(daemon, values.tobytes(), values.shape, layer=key, chunk=77)
    assert same_but_for_time(first, again) and same_but_for_time(first, streamed)
    assert stored(daemon, key) == first


def test_the_same_projection_again_keeps_the_flips_that_were_counted(daemon, random, run):
    before = random.standard_normal((8, 256)).astype(np.float32)
    after = before.copy()
    after[::2] *= -1
    claims.project(daemon, before, layer=tensor_pb2.LayerRef(run=run, layer="up", step=1))
    key = tensor_pb2.LayerRef(run=run, layer="up", step=2)
    first = claims.project(daemon, after, layer=key).report
    assert first.flips > 0 and first.previous_step == 1
    again = claims.project(daemon, after, layer=key).report
    _, _, streamed = claims.project_stream(daemon, after, layer=key)
    assert same_but_for_time(first, again) and same_but_for_time(first, streamed)


@pytest.mark.parametrize("change", [
    dict(tolerance=1e-3), dict(partial_group=1), dict(mode=ternary_pb2.VERIFY_LATENT),
], ids=["tolerance", "partial_group", "mode"])
def test_another_question_about_the_same_tensor_is_refused(daemon, key, change):
    # Ternary, its own projection (no zeros), and without a short group: all three
    # questions have the same answer.
    values = np.full((4, 256), 0.5, np.float32)
    first = claims.verify(daemon, values.tobytes(), values.shape, layer=key)
    refused(lambda: claims.verify(daemon, values.tobytes(), values.shape, layer=key, **change),
            EXISTS, key.run)
    assert stored(daemon, key) == first


def test_a_projection_and_a_verification_are_two_questions(daemon, key):
    values = np.full((4, 256), 0.5, np.float32)
    made = claims.project(daemon, values, layer=key)
    refused(lambda: claims.verify(daemon, made.data, values.shape, layer=key), EXISTS, key.run)


def test_another_reference_is_another_question(daemon, random, key):
    weight = random.standard_normal((4, 256)).astype(np.float32)
    made = claims.project(daemon, weight)
    claims.verify(daemon, made.data, weight.shape, reference=ref.tensor(weight), layer=key)
    # Other latents with the same projection: only the report's errors differ.
    other = weight.copy()
    largest = np.abs(other[0, :128]).argmax()
    second = np.abs(other[0, :128]).argsort()[-2]
    step = np.float32(2.0 ** -10)
    other[0, largest] -= step * np.sign(other[0, largest])
    other[0, second] += step * np.sign(other[0, second])
    for reference in (ref.tensor(other), ref.tensor(-weight), None):
        refused(lambda: claims.verify(daemon, made.data, weight.shape, reference=reference,
                                      layer=key), EXISTS, key.run)
    report = claims.verify(daemon, made.data, weight.shape, reference=ref.tensor(weight),
                           layer=key)
    assert report.is_ternary and report.reference_mismatches == 0


def test_other_latents_of_one_projection_are_another_question(daemon, key):
    weight = np.full((1, 128), 0.5, np.float32)
    other = weight.copy()
    other[0, 0], other[0, 1] = 0.75, 0.25  # the same mean, another element below half
    first = claims.project(daemon, weight, layer=key)
    other[0, 1] = 0.26
    other[0, 2] = 0.49
    made = claims.project(daemon, other)
    assert made.report.digest == first.report.digest
    refused(lambda: claims.project(daemon, other, layer=key), EXISTS, key.run)


def test_a_report_without_a_layer_ref_is_compared_with_nothing(daemon, random, key):
    values, codes, _ = claims.ternary(random)
    claims.verify(daemon, values.tobytes(), values.shape, layer=key)
    nan_under_zero(values, codes)
    report = claims.verify(daemon, values.tobytes(), values.shape)
    assert not report.is_ternary
