# SPDX-License-Identifier: Apache-2.0
"""trit.Client with NumPy arrays against the real daemon."""

import copy
import fractions
import gc
import io
import math
import os
import pathlib
import pickle
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from functools import partial

import numpy as np
import pytest

import trit
from checkpoints import write
from daemon import Daemon
from trit import local
from wide_groups import wide_groups


def bits(array):
    return np.asarray(array).tobytes()


class OnlyDlpack:
    """An array of a library that trit does not know."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **how):
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


# Every golden case is reproduced bit for bit, dense and as codes with scales.
def test_golden_cases_are_reproduced_bit_for_bit(client, golden):
    cases = sorted(name[:-6] for name in golden if name.endswith(".input"))
    assert len(cases) >= 14
    for case in cases:
        w = golden[case + ".input"]
        assert bits(client.project(w).data) == bits(golden[case + ".projected"]), case
        packed = client.project(w, encoding="int8")
        assert packed.data.shape == w.shape and packed.data.dtype == np.int8
        assert bits(packed.data) == bits(golden[case + ".codes"]), case
        assert bits(packed.scales) == bits(golden[case + ".scales"]), case


# A short last group is divided by its real length if requested.
def test_golden_cases_with_exact_groups(client, golden):
    cases = [name[:-13] for name in golden if name.endswith(".scales_exact")]
    assert cases
    for case in cases:
        packed = client.project(golden[case + ".input"], encoding="int8", partial_group="exact")
        assert bits(packed.data) == bits(golden[case + ".codes_exact"]), case
        assert bits(packed.scales) == bits(golden[case + ".scales_exact"]), case


# The local projection has the daemon's bits, for any columns and groups.
@pytest.mark.parametrize("columns,group_size", [(512, 128), (200, 128), (96, 32), (1, 128)])
def test_local_projection_has_the_daemons_bits(client, random, columns, group_size):
    w = random.standard_normal((33, columns)).astype(np.float32)
    w[3] = 0
    w[4, ::2] = -0.0
    for rule in ("padded", "exact"):
        dense = client.project(w, group_size=group_size, partial_group=rule).data
        assert bits(dense) == bits(local.project(w, group_size, rule)), rule


# Where the order of a group's additions decides about the scale, it is the daemon's.
@pytest.mark.parametrize("columns", [16, 64, 128, 1024])
def test_local_sums_have_the_daemons_order(client, columns):
    w = wide_groups(columns)
    packed = client.project(w, group_size=columns, encoding="int8")
    codes, scales = local.codes_and_scales(w, columns)
    assert bits(packed.scales) == bits(scales) and bits(packed.data) == bits(codes)
    one_by_one = np.abs(w).astype(np.float64).cumsum(axis=1)[:, -1:] / columns
    assert columns < 32 or (one_by_one.astype(np.float32) != scales).any()


# f16 stays f16, and a tensor above the stream's threshold gives the same bits.
def test_streams_and_unary_calls_agree(daemon, random):
    w = random.standard_normal((512, 1024)).astype(np.float16)
    with (
        trit.Client(daemon.rpc) as unary,
        trit.Client(daemon.rpc, stream_bytes_min=65536) as streamed,
    ):
        one, other = unary.project(w), streamed.project(w)
        assert one.data.dtype == np.float16
        assert bits(one.data) == bits(other.data)
        assert one.report.digest == other.report.digest
        packed = streamed.project(w, encoding="pq2_0", report="none")
        assert packed.report is None
        assert bits(packed.data) == bits(unary.project(w, encoding="pq2_0").data)


# A stream through a Unix socket uses a ring of shared memory that is smaller than the tensor. It
# goes on when a reply frees a slot of the ring, also where no progress is asked for.
def test_a_stream_through_shared_memory_does_not_stall(tmp_path, random):
    path = f"unix:{tmp_path}/rpc"
    own = Daemon(tmp_path, "--listen", path)
    w = random.standard_normal((16, 1 << 20), dtype=np.float32)  # 64 MiB
    try:
        with (
            trit.Client(path, timeout=60, stream_bytes_min=65536) as shared,
            trit.Client(own.rpc.split(",")[0], timeout=60, stream_bytes_min=65536) as by_socket,
        ):
            one, other = shared.project(w), by_socket.project(w)
            assert bits(one.data) == bits(other.data)
            assert one.report.digest == other.report.digest
            assert shared.verify(w, mode="latent").digest == one.report.digest
            w = np.sign(w[:2]).reshape(8, -1)  # 8 MiB
            for encoding in ("i2_s", "hf_bitnet"):
                packed = shared.pack(w, encoding=encoding)
                assert bits(packed.data) == bits(by_socket.pack(w, encoding=encoding).data)
                back = shared.pack(packed, encoding="int8")
                assert (back.data == w).all()
    finally:
        assert own.stop() == 0, own.log()


# Large tensors are streamed and small ones are one message, without any option.
def test_streams_are_chosen_by_size(daemon, client):
    def calls(method):
        with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=30) as page:
            found = re.search(
                rf'tritd_rpc_handled_total{{method="/trit.v1.{method}",code="OK"}} (\d+)',
                page.read().decode(),
            )
        return int(found.group(1)) if found else 0

    for rows, streamed in [(1023, 0), (1024, 1)]:  # 4 MiB
        w = np.ones((rows, 1024), np.float32)
        for method, call in [
            ("Ternary/Project", client.project),
            ("Ternary/Verify", client.verify),
            ("Layers/Load", lambda w: client.layers.load(f"sized/{len(w)}", w)),
        ]:
            before = calls(method), calls(method + "Stream")
            call(w)
            assert calls(method) - before[0] == 1 - streamed, method
            assert calls(method + "Stream") - before[1] == streamed, method


# Inputs and results may have ml_dtypes' bfloat16.
def test_bfloat16_in_and_out(client, random):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    w = random.standard_normal((8, 256)).astype(ml_dtypes.bfloat16)
    made = client.project(w)
    assert made.data.dtype == ml_dtypes.bfloat16 and made.report.dtype == "bf16"
    wide = client.project(w.astype(np.float32)).data
    assert bits(made.data) == bits(wide.astype(ml_dtypes.bfloat16))


# Objects with a buffer are taken, and so are strided arrays.
def test_arrays_of_any_kind(client, random):
    w = random.standard_normal((16, 256)).astype(np.float32)
    expected = bits(client.project(w).data)
    assert bits(client.project(memoryview(w)).data) == expected
    assert bits(client.project(OnlyDlpack(w)).data) == expected
    frozen = w.copy()
    frozen.flags.writeable = False
    assert bits(client.project(frozen).data) == expected
    assert bits(client.project(np.asfortranarray(w)).data) == expected
    assert bits(client.project(w.astype(">f4")).data) == expected


# libtrit gets the memory of the array itself, of any library, and torch gets the memory
# of the result.
def test_arrays_are_lent_and_not_copied(client, random):
    from trit._arrays import view_of

    w = random.standard_normal((4, 256)).astype(np.float32)
    at = w.__array_interface__["data"][0]

    for array in (w, w[1:], memoryview(w), OnlyDlpack(w)):
        view = view_of(array, "tensor")
        assert view.address == at + (w.nbytes - view.nbytes)


def test_torch_tensors_are_lent_and_not_copied(client, random):
    torch = pytest.importorskip("torch")
    from trit._arrays import view_of

    raw = np.zeros(4, np.float32)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        w = torch.ones(4, 256, dtype=dtype, requires_grad=True)
        view = view_of(w, "tensor")
        assert view.address == w.data_ptr()
        assert view.wrap(raw, None).data_ptr() == raw.__array_interface__["data"][0]


def test_mlx_arrays_are_lent_and_not_copied(client):
    mx = pytest.importorskip("mlx.core")
    from trit._arrays import view_of

    for dtype in (mx.float32, mx.float16, mx.bfloat16):
        w = mx.ones((4, 256), dtype)
        mx.eval(w)
        same = w.view(mx.uint16) if dtype == mx.bfloat16 else w
        assert (
            view_of(w, "tensor").address
            == np.asarray(memoryview(same)).__array_interface__["data"][0]
        )


# `out` receives the result, but must not overlap the input.
def test_out_receives_the_result(client, random):
    w = random.standard_normal((16, 256)).astype(np.float32)
    expected = bits(client.project(w).data)
    out = np.empty_like(w)
    assert client.project(w, out=out).data is out and bits(out) == expected
    for wrong in (w, np.empty(3, np.float32), np.empty((256, 16), np.float32).T):
        with pytest.raises(trit.InvalidArgument) as refused:
            client.project(w, out=wrong)
        assert refused.value.field == "out"


# `out` of Python objects is refused, whatever the encoding: their pointers would be lost.
@pytest.mark.parametrize("encoding", ["dense", "int8"])
def test_out_of_objects_is_refused(client, encoding):
    w, out = np.ones((2, 128), np.float32), np.array([object() for _ in range(128)])
    with pytest.raises(trit.InvalidArgument, match="Python objects") as refused:
        client.project(w, encoding=encoding, out=out)
    assert refused.value.field == "out" and all(type(one) is object for one in out)


# Packed codes are integers or bytes: numbers of another kind have other bytes.
@pytest.mark.parametrize("dtype", [object, "f4", "f8", "f2", "c8", "M8[s]", "S4", "bfloat16"])
def test_codes_of_another_kind_are_refused(client, dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    codes = np.zeros(512 // np.dtype(dtype).itemsize, dtype)
    how = {"shape": (2, 256), "scales": np.ones((2, 2), np.float32)}
    for call in (
        lambda: client.verify(codes, encoding="int8", **how),
        lambda: client.unpack(codes, encoding="int8", **how),
        lambda: client.pack(codes, source_encoding="int8", encoding="pq2_0", **how),
    ):
        with pytest.raises(trit.InvalidArgument, match="is not a type of packed codes") as refused:
            call()
        assert refused.value.field == "tensor.dtype"


# `out` receives packed results too; it may be larger, but not smaller.
@pytest.mark.parametrize("encoding", [one for one in trit.Encoding if one.name != "DENSE"])
def test_out_receives_packed_results(client, encoding, random):
    w = random.standard_normal((4, 256)).astype(np.float32)
    made = {"encoding": encoding, "group_size": 256 if encoding.name[:2] == "TQ" else None}
    expected = client.project(w, **made)
    out = np.zeros(expected.data.nbytes + 8, np.uint8)
    found = client.project(w, **made, out=out)
    assert np.shares_memory(found.data, out) and not out[-8:].any()
    assert found.data.shape == expected.data.shape and found.data.dtype == expected.data.dtype
    assert (found.data == expected.data).all()
    assert client.verify(found, reference=w).verdict == "pass"
    with pytest.raises(trit.InvalidArgument, match="out: has .* bytes") as refused:
        client.project(w, **made, out=out[: expected.data.nbytes - 1])
    assert refused.value.field == "out"


# A projection knows how it was made; verify and unpack use that.
@pytest.mark.parametrize("encoding", ["dense", "int8"])
@pytest.mark.parametrize("partial_group", ["padded", "exact"])
@pytest.mark.parametrize(
    "columns,group_size", [(200, 128), (200, 64), (100, 128), (96, 96), (1, 128), (130, 100)]
)
def test_a_projection_remembers_how_it_was_made(
    client, random, encoding, partial_group, columns, group_size
):
    w = random.standard_normal((5, columns)).astype(np.float32)
    made = client.project(w, encoding=encoding, group_size=group_size, partial_group=partial_group)
    assert made.partial_group == trit.PartialGroup[partial_group.upper()]
    assert made.group_size == group_size
    for again in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        report = client.verify(again, reference=w)
        assert report.is_ternary and report.reference_mismatches == 0
        assert report.digest == made.report.digest and report.group_size == group_size
    same = client.verify(
        made,
        reference=w,
        encoding=encoding,
        group_size=group_size,
        partial_group=partial_group,
        shape=w.shape,
        scales=made.scales,
    )
    assert same.digest == made.report.digest and same.reference_mismatches == 0
    back = local.project(w, group_size, partial_group)
    assert bits(client.unpack(made) + 0.0) == bits(back + 0.0)
    assert bits(client.unpack(made, group_size=group_size) + 0.0) == bits(back + 0.0)


# Arguments that contradict a projection are refused.
def test_arguments_that_contradict_a_projection_are_refused(client, random):
    w = random.standard_normal((4, 200)).astype(np.float32)
    made = client.project(w, encoding="int8", partial_group="exact")
    for field, options in [
        ("options.partial_group", {"partial_group": "padded"}),
        ("options.partial_group", {"partial_group": trit.PartialGroup.PADDED}),
        ("options.group_size", {"group_size": 64}),
        ("encoding", {"encoding": "dense"}),
        ("shape", {"shape": (8, 100)}),
        ("scales", {"scales": made.scales.copy()}),
    ]:
        with pytest.raises(trit.InvalidArgument, match=field) as refused:
            client.verify(made, **options)
        assert refused.value.field == field
        if field != "options.partial_group":
            with pytest.raises(trit.InvalidArgument, match=field):
                client.unpack(made, **options)
    with pytest.raises(trit.InvalidArgument, match="padded was given.*made with exact"):
        client.verify(made, partial_group="padded")
    with pytest.raises(trit.InvalidArgument, match="not one of padded, exact"):
        client.verify(made, partial_group="")
    # The data alone do not say how they were made, so arguments may say anything.
    padded = client.verify(
        made.data, encoding="int8", scales=made.scales, partial_group="padded", reference=w
    )
    assert padded.reference_mismatches > 0
    # A projection may still be constructed by position.
    by_hand = trit.Projection(made.data, made.scales, None, trit.Encoding.INT8, (4, 200), 128)
    assert by_hand.partial_group == trit.PartialGroup.PADDED


# Results outlive the client.
def test_results_outlive_the_client(daemon, random):
    w = random.standard_normal((64, 512)).astype(np.float32)
    with trit.Client(daemon.rpc) as client:
        packed = client.project(w, encoding="int8")
        back = client.unpack(packed)
    del client
    gc.collect()
    codes, scales = local.codes_and_scales(w)
    assert bits(packed.data) == bits(codes) and bits(packed.scales) == bits(scales)
    assert bits(back + 0.0) == bits(local.project(w) + 0.0)


# Every encoding of this build unpacks to the dense projection and verifies.
@pytest.mark.parametrize("encoding", list(trit.Encoding))
def test_encodings_unpack_and_verify(client, random, encoding):
    w = (random.standard_normal((8, 512)) * 0.02).astype(np.float32)
    group_size = {
        trit.Encoding.Q2_0: 64,
        trit.Encoding.TQ1_0: 256,
        trit.Encoding.TQ2_0: 256,
        trit.Encoding.I2_S: 0,
        trit.Encoding.HF_BITNET: 0,
    }.get(encoding, 128)
    packed = client.project(w, encoding=encoding, group_size=group_size)
    assert packed.encoding == encoding and packed.shape == w.shape
    back = client.unpack(packed)
    grouped = w if group_size else w.reshape(1, -1)  # all of it is one group
    codes, scales = local.codes_and_scales(grouped, group_size or w.size)
    if encoding in (trit.Encoding.DENSE, trit.Encoding.INT8):
        assert bits(back + 0.0) == bits(local.project(w, group_size) + 0.0)
    else:
        assert np.array_equal(np.sign(back), codes.reshape(w.shape))
        assert np.allclose(np.abs(back).max(axis=1), scales.max(axis=1), rtol=1e-3)
    report = client.verify(packed)
    assert report.is_ternary and report.max_round_error == 0
    assert report.digest == packed.report.digest
    if encoding == trit.Encoding.MLX_2BIT:
        assert packed.data.shape == (8, 32) and packed.data.dtype == np.uint32
        assert packed.scales.dtype == np.float16
        assert np.array_equal(packed.biases, -packed.scales)


# Encodings with one scale need no group size, and refuse any.
@pytest.mark.parametrize("encoding", ["i2_s", "hf_bitnet"])
def test_one_scale_needs_no_group_size(client, random, encoding):
    w = random.standard_normal((8, 64)).astype(np.float32)
    packed = client.project(w, encoding=encoding)
    assert packed.group_size == 0 and packed.report.group_size == w.size
    assert client.verify(packed, reference=w).reference_mismatches == 0
    with pytest.raises(trit.InvalidArgument, match="one scale") as refused:
        client.project(w, encoding=encoding, group_size=128)
    assert refused.value.field == "options.group_size"


# The bytes are what transformers' unpack_weights expects: any number of columns, a multiple
# of 4 rows.
def test_hf_bitnet_unpacks_as_transformers_does(client, random):
    w = random.standard_normal((12, 33)).astype(np.float32)
    packed = client.project(w, encoding="hf_bitnet")
    assert packed.data.shape == (3, 33) and packed.data.dtype == np.uint8
    found = np.vstack([packed.data >> 2 * i & 3 for i in range(4)]).astype(np.int8) - 1
    codes, scales = local.codes_and_scales(w.reshape(1, -1), w.size)
    assert np.array_equal(found, codes.reshape(w.shape)) and packed.scales == scales.ravel()
    again = client.unpack(packed.data, encoding="hf_bitnet", shape=w.shape, scales=packed.scales)
    assert np.array_equal(again, found * packed.scales)
    for wrong in (w[:11], w[0]):
        with pytest.raises(trit.InvalidArgument, match="multiple of 4") as refused:
            client.project(wrong, encoding="hf_bitnet")
        assert refused.value.field == "tensor.shape"
    packed.data[2, 5] |= 0x30  # row 8, column 5
    with pytest.raises(trit.InvalidArgument, match=f"element {8 * 33 + 5} "):
        client.unpack(packed)
    assert not client.verify(packed).is_ternary


# A verification distinguishes ternary weights from latents, and says why.
def test_verify_tells_ternary_from_latent(client, random):
    w = random.standard_normal((8, 256)).astype(np.float32)
    assert not client.verify(w).is_ternary
    latent = client.verify(w, mode="latent")
    assert latent.is_ternary and latent.mse > 0
    good = client.project(w).data
    report = client.verify(good, tolerance=0, reference=w)
    assert report.is_ternary and report.fraction_valid == 1
    assert report.reference_mismatches == 0 and report.first_mismatch is None
    good[2, 5] += 1
    bad = client.verify(good, reference=w)
    assert not bad.is_ternary and bad.reference_mismatches >= 1
    assert bad.negatives + bad.zeros + bad.positives + bad.non_finite == w.size
    assert set(bad.to_dict()) > {"zero_fraction", "digest", "transitions"}


# `backward` returns the gradient unchanged.
def test_backward_is_the_identity(client, random):
    for dtype in (np.float32, np.float16):
        g = random.standard_normal((5, 33)).astype(dtype)
        back = client.backward(g)
        assert back.dtype == g.dtype and bits(back) == bits(g)


# Reports are stored, found, and listed by step and by the newest, with flips.
def test_reports_are_filed_and_found(client, random, run):
    w = random.standard_normal((4, 256)).astype(np.float32)
    for step in range(3):
        client.verify(w, mode="latent", layer=(run, "layer.0", step))
        client.project(-w, layer=trit.LayerRef(run, "layer.1", step))
        w[0, step] *= -1
    assert client.reports.get(run, "layer.0").step == 2
    first = client.reports.get(run, "layer.0", 0)
    assert first.previous_step is None and first.run == run and first.shape == (4, 256)
    steps = client.reports.list(run, "layer.0", from_step=1)
    assert [one.step for one in steps] == [1, 2]
    assert all(one.previous_step == one.step - 1 for one in steps)
    assert {one.layer for one in client.reports.latest(run)} == {"layer.0", "layer.1"}
    assert sum(steps[0].transitions) == w.size
    with pytest.raises(trit.NotFound):
        client.reports.get(run, "layer.2")
    with pytest.raises(trit.AlreadyExists):
        client.project(w * 2, layer=(run, "layer.0", 0))


# `list` returns more reports than one page of the daemon.
def test_reports_come_over_pages(client, random, run):
    w = random.standard_normal((1, 8)).astype(np.float32)
    for step in range(120):
        client.verify(w, mode="latent", layer=(run, "l", step))
    assert [one.step for one in client.reports.list(run)] == list(range(120))


# Errors have the class of their status and name their field.
def test_errors_name_their_field(client):
    w = np.zeros((2, 4), np.float32)
    for refused, field in [
        (lambda: client.project(w.astype(np.float64)), "tensor.dtype"),
        (lambda: client.project("words"), "tensor"),
        (lambda: client.project(np.zeros((0, 4), np.float32)), "tensor.shape"),
        (lambda: client.project(np.zeros((1,) * 9, np.float32)), "tensor.shape"),
        (lambda: client.project(w, encoding="zip"), "options.encoding"),
        (lambda: client.project(w, group_size=70000), "options.group_size"),
        (lambda: client.project(w, group_size=-1), "options.group_size"),
        (lambda: client.project(w, layer=("r\0", "l", 0)), "layer.run"),
        (lambda: client.reports.get("r", "l", -1), "step"),
        (lambda: client.verify(w, reference=w[:1]), "reference.shape"),
        (lambda: client.project(w, layer=("r" * 256, "l", 0)), "layer.run"),
        (lambda: client.project(w, layer=("r", "l", -1)), "layer.step"),
        (lambda: client.unpack(w.view(np.uint8), encoding="pq2_0"), "shape"),
    ]:
        with pytest.raises(trit.InvalidArgument) as error:
            refused()
        assert error.value.field == field, error.value
        assert isinstance(error.value, ValueError) and error.value.status == 3


# NaNs fail the projection; the error has their number and the index of the first.
def test_nan_is_refused_with_its_place(client):
    w = np.ones((4, 128), np.float32)
    w[1, 3] = np.nan
    w[2, 0] = np.inf
    with pytest.raises(trit.InvalidArgument, match="2.*131"):
        client.project(w)
    assert client.verify(w).non_finite == 2


# Each gRPC status except OK has a class of its name.
def test_every_status_has_its_exception():
    from trit.errors import error_of

    names = (
        "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS "
        "PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE "
        "UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
    ).split()
    for status, name in enumerate(names, 1):
        raised = error_of(status, f"step: {name}", "step")
        assert type(raised) is getattr(trit, name.title().replace("_", ""))
        assert isinstance(raised, trit.Error) and raised.status == status
        assert raised.field == "step" and raised.message == str(raised) == f"step: {name}"
    assert type(error_of(99, "", "")) is trit.Unknown


def test_exceptions_survive_pickling():
    again = pickle.loads(pickle.dumps(trit.NotFound("no such run", "run")))
    assert type(again) is trit.NotFound and again.field == "run"
    assert isinstance(again, LookupError) and str(again) == "no such run"
    assert isinstance(trit.Unavailable("gone"), ConnectionError)
    assert isinstance(trit.DeadlineExceeded("late"), TimeoutError)


# Without a daemon the first call raises Unavailable, not the constructor.
def test_unreachable_daemon_is_unavailable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
    with trit.Client(address) as client, pytest.raises(trit.Unavailable):
        client.ping()


# A port of another protocol is told by its first bytes: the daemon's pages, and text of any kind.
def test_a_port_of_another_protocol_is_named(daemon):
    with trit.Client(daemon.http, timeout=20) as client:
        with pytest.raises(trit.Unavailable, match="HTTP/1, not gRPC.*--http.*--listen"):
            client.ping()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                while connection.recv(65536):
                    pass

        serving = threading.Thread(target=greet)
        serving.start()
        with trit.Client("127.0.0.1:%d" % listener.getsockname()[1], timeout=20) as client:
            with pytest.raises(trit.Unavailable, match="it does not speak HTTP/2"):
                client.ping()
        serving.join(20)
        assert not serving.is_alive()


def test_an_invalid_address_is_refused():
    for address in ("", "unix:", "[::1", "a\0b:1"):
        with pytest.raises(trit.InvalidArgument) as refused:
            trit.Client(address)
        assert refused.value.field == "address", address


# An invalid port is refused; the error has the port and the range.
@pytest.mark.parametrize(
    "port",
    [
        "",
        "0",
        "65536",
        "72097",
        "-1",
        "+80",
        " 80",
        "80 ",
        "80x",
        "6.5",
        "http",
        "4294967377",
        "18446744073709551697",
    ],
)
def test_an_invalid_port_is_refused(port, monkeypatch):
    refusal = re.escape(f'port "{port}" is not a number from 1 to 65535')
    for address in (f"127.0.0.1:{port}", f"[::1]:{port}"):
        with pytest.raises(trit.InvalidArgument, match=refusal) as refused:
            trit.Client(address)
        assert refused.value.field == "address"
    monkeypatch.setenv("TRITD_ADDRESS", f"localhost:{port}")
    with pytest.raises(trit.InvalidArgument, match=refusal):
        trit.Client()
    trit.Client("127.0.0.1:65535").close()


@pytest.fixture
def mute():
    """A listener that never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield "127.0.0.1:%d" % listener.getsockname()[1]


# A call without an answer ends at its own timeout or the client's.
def test_deadlines_end_calls(mute):
    with trit.Client(mute, timeout=0.2) as client:
        began = time.monotonic()
        with pytest.raises(trit.DeadlineExceeded):
            client.ping()
        with pytest.raises(TimeoutError):
            client.project(np.ones((1, 4), np.float32), timeout=0.1)
        assert time.monotonic() - began < 5


# Every other call has a deadline too; those of layers are in test_layers.py.
def test_every_call_has_a_deadline(mute):
    w = np.ones((2, 128), np.float32)
    with trit.Client(mute) as client:
        for call in (
            client.ping,
            partial(client.project, w),
            partial(client.verify, w),
            partial(client.pack, w, encoding="pq2_0"),
            partial(client.unpack, w),
            partial(client.backward, w),
            partial(client.reports.get, "r", "l"),
            client.reports.list,
            client.reports.latest,
            partial(client.checkpoint.project, {"w": w}),
            partial(client.checkpoint.verify, {"w": w}),
        ):
            began = time.monotonic()
            with pytest.raises(trit.DeadlineExceeded):
                call(timeout=0.05)
            assert time.monotonic() - began < 5
    with trit.Client(mute, stream_bytes_min=1) as streaming:
        for call in (streaming.project, streaming.verify):
            with pytest.raises(trit.DeadlineExceeded):
                call(w, timeout=0.05)


# A timeout is a number of seconds >= 0. All calls refuse anything else, and the error
# names it.
@pytest.mark.parametrize(
    "timeout",
    [
        "5",
        "",
        b"5",
        math.nan,
        -1,
        -0.001,
        -math.inf,
        True,
        False,
        [5],
        1j,
        np.array(5.0),
        np.bool_(True),
        np.float32("nan"),
    ],
    ids=repr,
)
def test_an_invalid_timeout_is_refused(client, daemon, timeout):
    w, ids = np.ones((2, 128), np.float32), np.array([0])
    layers = client.layers
    for call in (
        partial(trit.Client, daemon.rpc),
        client.ping,
        partial(client.project, w),
        partial(client.verify, w),
        partial(client.pack, w, encoding="pq2_0"),
        partial(client.unpack, w),
        partial(client.backward, w),
        partial(client.reports.get, "r", "l"),
        client.reports.list,
        client.reports.latest,
        partial(client.checkpoint.project, {"w": w}),
        partial(client.checkpoint.verify, {"w": w}),
        partial(layers.create, "x", 8, 8),
        partial(layers.load, "x", w),
        partial(layers.forward, "x", w),
        partial(layers.forward_with_error, "x", w),
        partial(layers.backward, "x", w, w),
        partial(layers.embed, "x", ids),
        partial(layers.as_linear, "x", w),
        partial(layers.get, "x"),
        layers.list,
        partial(layers.delete, "x"),
        layers.verify,
    ):
        with pytest.raises(
            trit.InvalidArgument, match="timeout: .*(not a number|must be a number)"
        ) as refused:
            call(timeout=timeout)
        assert refused.value.field == "timeout" and repr(timeout) in str(refused.value)


# Any other number is taken, however large; infinity is no limit.
@pytest.mark.parametrize(
    "timeout",
    [
        5,
        5.0,
        np.float32(5),
        np.float64(5),
        np.int64(5),
        fractions.Fraction(11, 2),
        10**400,
        1e300,
        math.inf,
        np.float32("inf"),
        None,
    ],
    ids=lambda one: repr(one)[:20],
)
def test_numbers_are_timeouts(client, daemon, timeout):
    assert client.ping(timeout=timeout)
    with trit.Client(daemon.rpc, timeout=timeout) as own:
        assert own.ping()


# A call's infinity overrides the client's limit; 0 ends the call immediately.
def test_infinity_is_no_limit(mute):
    def strike(signum, frame):
        raise KeyboardInterrupt

    with trit.Client(mute, timeout=0) as client, pytest.raises(trit.DeadlineExceeded):
        client.ping()
    previous = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with trit.Client(mute, timeout=0.05) as client, pytest.raises(KeyboardInterrupt):
            client.ping(timeout=math.inf)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# Ctrl-C may come when libtrit has entered a callback, before the callback's own `try`.
@pytest.mark.parametrize("module", ["_visit", "_checkpoint_run"])
def test_interrupt_between_libtrit_and_a_callback(client, tmp_path, monkeypatch, module):
    class Struck:
        def __getattr__(self, name):
            return getattr(trit._native.ffi, name)

        def from_handle(self, handle):
            raise KeyboardInterrupt

    weights = np.ones((2, 128), np.float32)
    weights[0] = np.arange(128)
    np.save(tmp_path / "w.npy", weights)
    client.project(weights, layer=("struck", "l", 1))
    monkeypatch.setattr(getattr(trit, module), "ffi", Struck())
    with pytest.raises(KeyboardInterrupt):
        if module == "_visit":
            client.reports.list("struck")
        else:
            client.checkpoint.project(tmp_path / "w.npy", tmp_path / "out.npy", include="*")
    monkeypatch.undo()
    assert client.ping() and not (tmp_path / "out.npy").exists()


# Ctrl-C ends a call of the main thread that waits for a silent peer.
def test_interrupt_ends_a_waiting_call(mute):
    def strike(signum, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with trit.Client(mute) as client, pytest.raises(KeyboardInterrupt):
            client.ping(timeout=30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# Interrupts the nth step of an operation, for each n; leaves with 1 where a close does not end.
# The steps are the calls, lines and returns of this package, and the calls and returns of the
# modules by which threads wait. Python raises no KeyboardInterrupt as a line there leaves a
# `with`. In Thread.start it can become a RuntimeError of Python's own.
STRIKES = """
import contextlib, gc, os, pathlib, queue, sys, threading
import numpy as np
import trit

package, weights = str(pathlib.Path(trit.__file__).parent), np.ones((2, 128), np.float32)
others = (threading.__file__, queue.__file__)
address, operation, fewest = sys.argv[1], sys.argv[2], int(sys.argv[3])
kept = contextlib.ExitStack()  # what was begun is not collected before the close

def project(client):
    client.project(weights)

def watch(client):
    watch = client.reports.watch("strikes", cursor="0")
    kept.callback(watch.close)
    next(watch)
    watch.close()

def job(client):
    job = client.checkpoints.inspect("strikes.safetensors")
    kept.callback(job.close)
    for progress in job:
        pass
    job.result()
    job.close()

def starts_thread(frame):
    while frame and frame.f_code is not threading.Thread.start.__code__:
        frame = frame.f_back
    return frame is not None

def struck(client, left):
    def strike(frame, event, arg):
        nonlocal left
        del arg  # a traceback would keep it
        name = frame.f_code.co_filename
        if name in others and starts_thread(frame):
            return None
        if not name.startswith(package) and name not in others:
            return None
        left -= event in ("call", "return") or event == "line" and name not in others
        if left < 0:
            sys.settrace(None)
            raise KeyboardInterrupt
        return strike

    sys.settrace(strike)
    try:
        globals()[operation](client)
        interrupted = None
    except KeyboardInterrupt as raised:
        interrupted = raised
    sys.settrace(None)
    return left < 0, interrupted

def close(client):
    kept.close()
    client.close()
    client.close()

gc.disable()  # the clients before are not freed during a strike
nth = 0
while True:
    client = trit.Client(address, timeout=30)
    was_struck, interrupted = struck(client, nth)  # the exception keeps the frames
    assert (client.project(weights).data == weights).all()
    closing = threading.Thread(target=close, args=(client,), daemon=True)
    closing.start()
    closing.join(20)
    if closing.is_alive():
        print("a close after an interrupt at step", nth, "does not end", flush=True)
        os._exit(1)
    if not was_struck:
        break
    nth += 1
    interrupted = client = closing = None
    gc.collect()
assert nth > fewest, nth
"""


# Ctrl-C at any step of this package leaves the client usable, and its close ends.
@pytest.mark.parametrize("operation, fewest", [("project", 50), ("watch", 100), ("job", 100)])
def test_interrupt_at_any_step(daemon, client, operation, fewest):
    client.project(np.ones((2, 128), np.float32), layer=("strikes", operation, 1))
    weight = ("F32", [2, 128], np.ones((2, 128), np.float32).tobytes())
    write(daemon.root / "strikes.safetensors", {"l.weight": weight})
    done = subprocess.run(
        [sys.executable, "-c", STRIKES, daemon.rpc, operation, str(fewest)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stderr, done.stderr


# A close waits for the calls of other threads, and not for frames that a traceback keeps.
def test_close_waits_for_calls_and_not_for_tracebacks(daemon, mute, monkeypatch):
    begun, waits, go, order = threading.Event(), threading.Event(), threading.Event(), []

    class Held:
        def __getattr__(self, name):
            return getattr(trit._native.lib, name)

        def trit_ping(self, *arguments):
            begun.set()
            assert go.wait(20)
            order.append("called")
            return trit._native.lib.trit_ping(*arguments)

    class Ended(queue.SimpleQueue):
        def get(self):
            waits.set()
            return super().get()

    client = trit.Client(daemon.rpc)
    client._handle._ended = Ended()
    monkeypatch.setattr(trit.client, "lib", Held())
    calling = threading.Thread(target=client.ping)
    calling.start()
    assert begun.wait(20)
    closing = threading.Thread(target=lambda: (client.close(), order.append("closed")))
    closing.start()
    assert waits.wait(20) and order == []
    go.set()
    calling.join(20)
    closing.join(20)
    assert order == ["called", "closed"]
    with pytest.raises(trit.FailedPrecondition, match="closed"):
        client.ping()
    monkeypatch.undo()

    client = trit.Client(mute)
    try:
        client.ping(timeout=0.01)
    except trit.DeadlineExceeded:
        closing = threading.Thread(target=client.close, daemon=True)
        closing.start()
        closing.join(20)
        assert not closing.is_alive()


@pytest.fixture
def fails_instead_of_hanging():
    """A test whose main thread still waits after a minute gets an exception."""

    def fail(signum, frame):
        raise AssertionError("the test hangs")

    previous = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


CLOSED_IN_A_CALL = "close the client again after the call"


# A close in a callback, or in the handler of a signal, ends the call and does not wait for it.
@pytest.mark.parametrize("by", ["callback", "signal", "nested call"])
def test_close_during_a_call_of_the_same_thread(
    daemon, mute, random, fails_instead_of_hanging, by
):
    client = trit.Client(mute, timeout=120)
    previous = signal.signal(signal.SIGUSR1, lambda *_: client.close())
    weights = random.standard_normal((64, 256)).astype(np.float32)

    def close(done):
        if by == "nested call":
            counts = []
            with trit.Client(daemon.rpc, timeout=30) as other:
                other.project(weights, progress=counts.append)
            assert counts
        if by == "signal":
            signal.raise_signal(signal.SIGUSR1)
        else:
            client.close()

    try:
        with pytest.raises(trit.FailedPrecondition, match=CLOSED_IN_A_CALL):
            client.project(weights, progress=close)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    with pytest.raises(trit.FailedPrecondition, match="the client is closed"):
        client.ping()
    client.close()


# The handler of a signal that came while libtrit waits runs before a callback's first line.
def test_close_in_a_handler_during_a_call_that_waits(fails_instead_of_hanging):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = trit.Client("127.0.0.1:%d" % listener.getsockname()[1], timeout=120)

        def strike():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)  # the call is in libtrit
                os.kill(os.getpid(), signal.SIGUSR1)
                while connection.recv(65536):
                    pass

        previous = signal.signal(signal.SIGUSR1, lambda *_: client.close())
        striking = threading.Thread(target=strike, daemon=True)
        striking.start()
        try:
            with pytest.raises(trit.FailedPrecondition, match=CLOSED_IN_A_CALL):
                client.ping()
        finally:
            signal.signal(signal.SIGUSR1, previous)
        client.close()
        striking.join(20)
        assert not striking.is_alive()


# So it is in each kind of callback that a call of the caller's thread has.
@pytest.mark.parametrize("module", ["_call", "_visit", "_checkpoint_run", "checkpoints"])
def test_close_as_any_callback_begins(
    daemon, client, tmp_path, monkeypatch, fails_instead_of_hanging, module
):
    class Struck:
        def __getattr__(self, name):
            return getattr(trit._native.ffi, name)

        def from_handle(self, handle):
            closed.close()

    weights = np.ones((2, 128), np.float32)
    weights[0] = np.arange(128)
    np.save(tmp_path / "w.npy", weights)
    client.project(weights, layer=("closed", "l", 1))
    (daemon.root / "closed.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(trit.Error):
        client.checkpoints.verify("closed.safetensors").result()
    closed = trit.Client(daemon.rpc, timeout=30)
    monkeypatch.setattr(getattr(trit, module), "ffi", Struck())
    with pytest.raises(trit.FailedPrecondition, match=CLOSED_IN_A_CALL):
        if module == "_call":
            closed.project(weights, progress=lambda done: None)
        elif module == "_visit":
            closed.reports.list("closed")
        elif module == "_checkpoint_run":
            closed.checkpoint.project(tmp_path / "w.npy", tmp_path / "out.npy", include="*")
        else:
            closed.checkpoints.jobs()
    monkeypatch.undo()
    closed.close()


# Each function that libtrit calls is one in which a close does not wait.
def test_every_callback_is_marked():
    for path in pathlib.Path(trit.__file__).parent.glob("*.py"):
        lines = path.read_text().splitlines()
        for at, line in enumerate(lines):
            if line.startswith("@ffi.callback("):
                rest = [one for one in lines[at + 1 : at + 5] if one.startswith(("@", "def "))]
                assert rest[0] == "@called_back", path


# Ctrl-C before the thread of a watch or a job starts leaves a client that can be closed.
@pytest.mark.parametrize("of", ["watch", "job"])
def test_interrupt_before_a_thread_starts(daemon, monkeypatch, of):
    def strike(thread):
        raise KeyboardInterrupt

    client = trit.Client(daemon.rpc, timeout=30)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as kept:
        patch.setattr(threading.Thread, "start", strike)
        client.reports.watch() if of == "watch" else client.checkpoints.attach("job")
    client.close()
    assert kept.value is not None


# Memory of a result that is in use is not given to the next one, whatever refers to it.
def test_memory_in_use_is_not_reused():
    memory = trit._memory.Reused()
    first = memory.take(1000)[5:20]
    second = memory.take(1000)
    assert not np.shares_memory(second, first.base)
    where = second.__array_interface__["data"][0]
    del second
    assert memory.take(1000).__array_interface__["data"][0] == where


# Progress adds up to the tensor's bytes; a bar gets its total; an exception of the
# callback ends the call and is raised.
def test_progress_is_called_as_tqdm_is(daemon, random):
    w = random.standard_normal((2048, 1024)).astype(np.float32)

    class Bar:
        total, done = None, 0

        def update(self, n=1):
            assert n > 0
            self.done += n

    with trit.Client(daemon.rpc) as client:
        steps, bar = [], Bar()
        client.project(w, progress=steps.append)
        client.verify(w, progress=bar)
        assert sum(steps) == w.nbytes and bar.done == bar.total == w.nbytes

        def stop(n):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            client.project(w, progress=stop)
        assert client.ping()


# tqdm works both as a callback (its update) and as a bar, in every call.
@pytest.mark.parametrize("stream_bytes_min", [0, 65536])
def test_tqdm_shows_progress(daemon, random, stream_bytes_min):
    tqdm = pytest.importorskip("tqdm").tqdm
    w = random.standard_normal((256, 256)).astype(np.float32)
    with trit.Client(daemon.rpc, stream_bytes_min=stream_bytes_min) as client:
        name = f"tqdm/{stream_bytes_min}"
        client.layers.load(name, w)
        for call in (
            client.project,
            client.verify,
            client.unpack,
            client.backward,
            partial(client.layers.load, name + "/again"),
            partial(client.layers.forward, name),
            lambda w, progress: client.checkpoint.project({"w": w}, progress=progress),
        ):
            screen = io.StringIO()
            with tqdm(unit="B", unit_scale=True, file=screen, mininterval=0) as bar:
                call(w, progress=bar)
                assert bar.n == bar.total == w.nbytes, call
            assert "100%" in screen.getvalue()
            if "again" not in str(call):
                with tqdm(total=w.nbytes, file=io.StringIO()) as bar:
                    call(w, progress=bar.update)
                    assert bar.n == w.nbytes, call


# Threads share a client, and other threads run during a call.
def test_threads_share_a_client(client, random):
    w = random.standard_normal((64, 512)).astype(np.float32)
    expected, wrong = bits(client.project(w).data), []

    def work():
        for _ in range(10):
            if bits(client.project(w).data) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert not wrong


def test_the_gil_is_released_during_a_call(mute):
    with trit.Client(mute) as client:
        refused = []

        def wait():
            try:
                client.ping(timeout=0.5)
            except trit.DeadlineExceeded:
                refused.append(1)

        thread = threading.Thread(target=wait)
        thread.start()
        turns = 0
        while thread.is_alive() and not refused:
            turns += 1
        thread.join()
        assert refused and turns > 1000


# A closed client refuses calls; a second close does nothing; a copy is a client of its own.
def test_closing_copying_pickling(daemon):
    client = trit.Client(daemon.rpc)
    others = [copy.deepcopy(client), pickle.loads(pickle.dumps(client))]
    assert client.ping()
    client.close()
    client.close()
    with pytest.raises(trit.FailedPrecondition):
        client.ping()
    for other in others:
        assert other.ping()
        other.close()


# What belongs to one client cannot be copied or pickled by itself; the error says what can.
@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_parts_of_a_client_do_not_pickle(client, copied):
    for part in (client.reports, client.layers):
        with pytest.raises(TypeError, match=r"take the client, and its attribute"):
            copied(part)
    with pytest.raises(TypeError, match=r"a trit.Buffer cannot .*Client.buffer"):
        copied(client.buffer(64))


# A number below its range is told the range that it has, where 0 is not in it either.
def test_a_number_below_its_range_is_told_the_range(client):
    w = np.ones((2, 128), np.float32)
    for call, told in (
        (lambda: client.buffer(0), "nbytes: 0 is not in 1 to 9223372036854775807"),
        (lambda: client.buffer(-1), "nbytes: -1 is not in 1 to 9223372036854775807"),
        (lambda: client.project(w, group_size=-3), "group_size: -3 is not in 1 to 4294967295"),
        (lambda: client.project_batch([w], group_size=-1), "group_size: -1 is not in 1 to"),
    ):
        with pytest.raises(trit.InvalidArgument) as raised:
            call()
        assert told in str(raised.value)


# What is no integer is told so, also an array, which compares with 0 element by element.
def test_an_array_is_no_group_size(client):
    with pytest.raises(trit.InvalidType, match="group_size"):
        client.project(np.ones((2, 128), np.float32), group_size=np.array([64, 128]))


# A forked child uses its own connections, even if a thread of the parent was in a call;
# closing the client there does not close the parent's.
def test_fork_connects_anew(daemon, random):
    w = random.standard_normal((8, 256)).astype(np.float32)
    with trit.Client(daemon.rpc, timeout=30) as client:
        expected = bits(client.project(w).data)
        busy = threading.Thread(target=lambda: [client.project(w) for _ in range(20)])
        busy.start()
        child = os.fork()
        if child == 0:
            good = bits(client.project(w).data) == expected
            client.close()
            os._exit(0 if good else 1)
        busy.join()
        assert os.waitpid(child, 0)[1] == 0
        assert bits(client.project(w).data) == expected


# A forked child's close does not look at the parent's watches, whose threads it does not have.
def test_fork_leaves_watches_to_the_parent(daemon):
    with trit.Client(daemon.rpc, timeout=30) as client, client.reports.watch() as watch:
        child = os.fork()
        if child == 0:
            watch._watching.close = lambda: os._exit(1)
            client.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


def test_ping_knows_services(client):
    assert client.ping() and client.ping("trit.v1.Ternary")
    with pytest.raises(trit.NotFound):
        client.ping("trit.v1.Nothing")
