# SPDX-License-Identifier: Apache-2.0
"""Tensors in memory that a local client shares with the daemon: the results are those of the
socket, bit for bit, and nothing that a client does with its memory harms anyone else."""
import os
import re
import socket
import threading
import time
import urllib.request

import grpc
import numpy as np
import pytest

import reference as ref
import wire
from sharing import GROW, PAGE, SHRINK, WRITE, Buffer, Sharing, memory_file, sharing
from tritd import CALL_SECONDS, UNLIMITED, Daemon, refused, tensor_pb2, ternary_pb2, ternary_pb2_grpc
from trit.v1 import memory_pb2

ENCODINGS = [tensor_pb2.ENCODING_DENSE, tensor_pb2.ENCODING_INT8, tensor_pb2.ENCODING_PQ2_0,
             tensor_pb2.ENCODING_Q2_0, tensor_pb2.ENCODING_PTQ1_0, tensor_pb2.ENCODING_TQ1_0,
             tensor_pb2.ENCODING_TQ2_0, tensor_pb2.ENCODING_MLX_2BIT]
WHOLE = [tensor_pb2.ENCODING_I2_S, tensor_pb2.ENCODING_HF_BITNET]
INVALID, PRECONDITION = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
SHAPE = (96, 2560)  # of f32: several tiles, the last one is short
GROUPS = {tensor_pb2.ENCODING_TQ1_0: 256, tensor_pb2.ENCODING_TQ2_0: 256}


class Local:
    """A daemon with a Unix socket, and a channel to it."""

    def __init__(self, start, folder, *words):
        self.path = folder / "s"
        self.daemon = start("--listen", f"unix:{self.path}", *words)
        self.channel = grpc.insecure_channel(f"unix:{self.path}", options=UNLIMITED)
        self.ternary = ternary_pb2_grpc.TernaryStub(self.channel)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("local")
    started = []

    def start(*words):
        started.append(Daemon(folder / "daemon", *words))
        return started[-1]

    subject = Local(start, folder)
    yield subject
    subject.channel.close()
    assert subject.daemon.stop() == 0, subject.daemon.log()[-4000:]
    assert not list(folder.glob("s*")), "the sockets' files are gone"


@pytest.fixture
def memory(local):
    with sharing(local.path) as connection:
        yield connection


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(11).standard_normal(SHAPE).astype(np.float32)


def same_report(one, other):
    """Equal but for the time at which they were made."""
    one.time_unix_ns = other.time_unix_ns = 0
    assert one == other


def options(encoding, **more):
    return ternary_pb2.ProjectOptions(encoding=encoding, group_size=GROUPS.get(encoding, 0),
                                      **more)


def request(data, encoding, shape=SHAPE, dtype=tensor_pb2.DTYPE_F32, **tensor):
    return ternary_pb2.ProjectRequest(
        options=options(encoding),
        tensor=tensor_pb2.Tensor(dtype=dtype, shape=shape, **(tensor or {"data": data})))


# ---- the same bits ------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS + WHOLE)
def test_a_unary_projection_in_memory_equals_that_by_socket(local, memory, values, encoding):
    """Tensor and reply are regions: data, scales, report and digest are those of the socket."""
    data = values.tobytes()
    plain = local.ternary.Project(request(data, encoding), timeout=CALL_SECONDS)
    buffer = memory.buffer(2 * len(data) + PAGE)
    asked = request(None, encoding, region=buffer.put(data, 192))
    at = len(data) + 256
    asked.options.reply.CopyFrom(buffer.region(at, len(plain.data)))
    reply = local.ternary.Project(asked, timeout=CALL_SECONDS)
    assert reply.data == b"" and reply.region == asked.options.reply
    assert buffer.bytes[at:at + len(plain.data)] == plain.data
    assert reply.scales == plain.scales
    same_report(reply.report, plain.report)
    # nothing beside the two regions has changed
    assert buffer.bytes[192:192 + len(data)] == data
    assert not any(buffer.bytes[:192]) and not any(buffer.bytes[at + len(plain.data):])


@pytest.mark.parametrize("sent,answered", [("region", "data"), ("data", "region")])
def test_either_way_may_be_in_memory_alone(local, memory, values, sent, answered):
    """A request in memory can be answered by bytes, and bytes into memory."""
    data = values.tobytes()
    plain = local.ternary.Project(request(data, tensor_pb2.ENCODING_INT8), timeout=CALL_SECONDS)
    buffer = memory.buffer(len(data))
    asked = request(data, tensor_pb2.ENCODING_INT8)
    if sent == "region":
        asked = request(None, tensor_pb2.ENCODING_INT8, region=buffer.put(data))
    if answered == "region":
        asked.options.reply.CopyFrom(buffer.region(0, len(plain.data)))
    reply = local.ternary.Project(asked, timeout=CALL_SECONDS)
    assert (reply.data or buffer.bytes[:len(plain.data)]) == plain.data
    same_report(reply.report, plain.report)


def test_a_large_tensor_in_memory_is_answered_by_bytes(local, memory):
    """Above 1 MiB the workers compute, in memory of their own; the reply's bytes stay."""
    shape = (512, 1024)
    data = np.random.default_rng(12).standard_normal(shape).astype(np.float32).tobytes()
    buffer = memory.buffer(len(data))
    region = buffer.put(data)
    for encoding in (tensor_pb2.ENCODING_INT8, tensor_pb2.ENCODING_DENSE):
        plain = local.ternary.Project(request(data, encoding, shape), timeout=CALL_SECONDS)
        asked = request(None, encoding, shape, region=region)
        reply = local.ternary.Project(asked, timeout=CALL_SECONDS)
        assert reply.data == plain.data and reply.scales == plain.scales
        same_report(reply.report, plain.report)


@pytest.mark.parametrize("answered", ["data", "region"])
def test_a_tensor_of_many_tiles_in_memory_equals_that_by_socket(local, memory, answered):
    """Where a tensor has many tiles for each thread, a worker computes several as one job."""
    shape = (2112, 1024)
    data = np.random.default_rng(13).standard_normal(shape).astype(np.float32).tobytes()
    encoding = tensor_pb2.ENCODING_PQ2_0
    plain = local.ternary.Project(request(data, encoding, shape), timeout=CALL_SECONDS)
    buffer = memory.buffer(len(data) + len(plain.data))
    asked = request(None, encoding, shape, region=buffer.put(data))
    if answered == "region":
        asked.options.reply.CopyFrom(buffer.region(len(data), len(plain.data)))
    reply = local.ternary.Project(asked, timeout=CALL_SECONDS)
    assert (reply.data or buffer.bytes[len(data):len(data) + len(plain.data)]) == plain.data
    same_report(reply.report, plain.report)


def test_a_dense_projection_may_overwrite_its_tensor(local, memory, values):
    data = values.tobytes()
    plain = local.ternary.Project(request(data, 0), timeout=CALL_SECONDS)
    buffer = memory.buffer(len(data))
    asked = request(None, 0, region=buffer.put(data))
    asked.options.reply.CopyFrom(asked.tensor.region)
    reply = local.ternary.Project(asked, timeout=CALL_SECONDS)
    assert buffer.bytes[:] == plain.data
    same_report(reply.report, plain.report)


@pytest.mark.parametrize("claim", [tensor_pb2.ENCODING_INT8, tensor_pb2.ENCODING_PQ2_0])
@pytest.mark.parametrize("where", ["tensor", "tensor reference", "tensor latents", "reference"])
def test_a_unary_verification_in_memory_equals_that_by_socket(local, memory, values, claim, where):
    """`where`: what lies in memory; "latents": they are sent as bytes."""
    data = values.tobytes()
    made = local.ternary.Project(request(data, claim), timeout=CALL_SECONDS)
    buffer = memory.buffer(len(data) + len(made.data))
    latents = buffer.put(data, len(made.data))

    def verify(where):
        asked = ternary_pb2.VerifyRequest(
            options=ternary_pb2.VerifyOptions(encoding=claim, scales=made.scales),
            tensor=tensor_pb2.Tensor(dtype=tensor_pb2.DTYPE_F32, shape=SHAPE))
        if "tensor" in where:
            asked.tensor.region.CopyFrom(buffer.put(made.data))
        else:
            asked.tensor.data = made.data
        if "reference" in where or "latents" in where:
            asked.reference.CopyFrom(tensor_pb2.Tensor(
                dtype=tensor_pb2.DTYPE_F32, shape=SHAPE,
                **({"region": latents} if "reference" in where else {"data": data})))
        return local.ternary.Verify(asked, timeout=CALL_SECONDS).report

    same_report(verify(where), verify("" if where == "tensor" else "latents"))


def stream_in_memory(local, buffer, data, encoding, chunk, dtype=tensor_pb2.DTYPE_F32, shape=SHAPE,
                     **more):
    """Projects by chunks in a ring of the whole buffer; the data, scales and report."""
    slots = len(buffer.bytes) // chunk
    state = threading.Condition()
    done, failed = [0], []

    def requests():
        yield ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
            options=options(encoding), dtype=dtype, shape=shape, replies_in_memory=True,
            **more))
        for number, at in enumerate(range(0, len(data), chunk)):
            with state:
                assert state.wait_for(lambda: failed or number - done[0] < slots,
                                      CALL_SECONDS)
            region = buffer.put(data[at:at + chunk], number % slots * chunk)
            yield ternary_pb2.ProjectStreamRequest(
                chunk=tensor_pb2.TensorChunk(offset=at, region=region))

    out, scales, report, regions = b"", b"", None, 0
    try:
        for reply in local.ternary.ProjectStream(requests(), timeout=CALL_SECONDS):
            kind = reply.WhichOneof("message")
            if kind == "chunk":
                assert reply.chunk.offset == len(out)
                if reply.chunk.HasField("region"):
                    where = reply.chunk.region
                    assert where.buffer == buffer.id
                    out += buffer.bytes[where.offset:where.offset + where.bytes]
                    regions += 1
                else:
                    out += reply.chunk.data
            elif kind == "scales":
                scales += reply.scales.data
            elif kind == "report":
                report = reply.report
            else:
                with state:
                    assert reply.chunks_done > done[0]
                    done[0] = reply.chunks_done
                    state.notify()
    finally:
        with state:
            failed.append(True)
            state.notify()
    return out, scales, report, regions


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("chunk,dtype", [
    (256 << 10, tensor_pb2.DTYPE_F32), (100_000, tensor_pb2.DTYPE_F32),
    (256 << 10, tensor_pb2.DTYPE_BF16), (1000, tensor_pb2.DTYPE_F16)])
def test_a_stream_in_memory_equals_one_message(local, memory, values, encoding, chunk, dtype):
    """A stream in memory equals one message: with tiles within one chunk, tiles across chunks, and
    chunks smaller than a tile. The memory of a chunk is used again as soon as the daemon has counted it."""
    data = ref.narrow(values, dtype)
    plain = local.ternary.Project(request(data, encoding, dtype=dtype), timeout=CALL_SECONDS)
    buffer = memory.buffer(3 * chunk // PAGE * PAGE + PAGE)
    out, scales, report, regions = stream_in_memory(local, buffer, data, encoding, chunk, dtype)
    assert out == plain.data and scales == plain.scales
    same_report(report, plain.report)
    if chunk == 256 << 10:
        assert regions > 0, "outputs were written over their inputs"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stored_stream_in_memory_equals_one_message(local, memory, encoding):
    """The output of a chunk may be written over it after its bytes were copied for the hash of
    the latents. The chunk is not counted as done before, so nothing that comes later is lost."""
    shape = (1024, 2048)
    data = np.random.default_rng(8).standard_normal(shape, np.float32).tobytes()
    plain = local.ternary.Project(request(data, encoding, shape), timeout=CALL_SECONDS)
    buffer = memory.buffer(1 << 20)
    for step in range(1, 6):
        layer = tensor_pb2.LayerRef(run=f"stored-{encoding}", layer="w", step=step)
        out, scales, report, regions = stream_in_memory(local, buffer, data, encoding, 256 << 10,
                                                        layer=layer, shape=shape)
        assert out == plain.data and scales == plain.scales and regions > 0
        assert report.digest == plain.report.digest and report.zeros == plain.report.zeros


@pytest.mark.parametrize("run", ["shared-memory"])
def test_a_stored_report_of_a_tensor_in_memory(local, memory, values, run):
    """The latents' hash is that of the bytes by socket: the report of the same step again,
    sent by socket, is the same report; other latents are refused."""
    data = values.tobytes()
    layer = tensor_pb2.LayerRef(run=run, layer="w", step=1)
    buffer = memory.buffer(1 << 20)
    _, _, report, _ = stream_in_memory(local, buffer, data, tensor_pb2.ENCODING_PQ2_0,
                                       256 << 10, layer=layer)
    again = request(data, tensor_pb2.ENCODING_PQ2_0)
    again.layer.CopyFrom(layer)
    same_report(local.ternary.Project(again, timeout=CALL_SECONDS).report, report)


@pytest.mark.parametrize("encoding", [tensor_pb2.ENCODING_DENSE, tensor_pb2.ENCODING_PQ2_0])
def test_a_stored_report_of_many_tiles_in_memory(local, memory, encoding):
    """The workers hash latents in the order of their tiles: filed from memory, the same bytes by
    socket are the same report, and a latent of the last tile that differs is another question."""
    shape = (1056, 1024)
    values = np.random.default_rng(14).standard_normal(shape).astype(np.float32)
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    first = request(None, encoding, shape, region=buffer.put(data))
    first.layer.CopyFrom(tensor_pb2.LayerRef(run=f"tiles-{encoding}", layer="w", step=1))
    report = local.ternary.Project(first, timeout=CALL_SECONDS).report
    again = request(data, encoding, shape)
    again.layer.CopyFrom(first.layer)
    same_report(local.ternary.Project(again, timeout=CALL_SECONDS).report, report)
    values[-1, -1] = np.nextafter(values[-1, -1], np.float32(9))
    other = request(values.tobytes(), encoding, shape)
    assert local.ternary.Project(other, timeout=CALL_SECONDS).report.digest == report.digest
    other.layer.CopyFrom(first.layer)
    refused(lambda: local.ternary.Project(other, timeout=CALL_SECONDS),
            grpc.StatusCode.ALREADY_EXISTS, first.layer.run)


def verify_stream(claim, chunks, reference_dtype=0):
    yield ternary_pb2.VerifyStreamRequest(start=ternary_pb2.VerifyStart(
        options=ternary_pb2.VerifyOptions(encoding=claim), dtype=tensor_pb2.DTYPE_F32,
        shape=SHAPE, reference_dtype=reference_dtype))
    for kind, chunk in chunks:
        yield ternary_pb2.VerifyStreamRequest(**{kind: chunk})


@pytest.mark.parametrize("with_reference", [False, True])
def test_a_verify_stream_in_memory(local, memory, values, with_reference):
    """Chunks of both tensors in memory: the report is that of one message."""
    claim, data = tensor_pb2.ENCODING_PQ2_0, values.tobytes()
    packed = local.ternary.Project(request(data, claim), timeout=CALL_SECONDS).data
    asked = ternary_pb2.VerifyRequest(
        options=ternary_pb2.VerifyOptions(encoding=claim),
        tensor=tensor_pb2.Tensor(dtype=tensor_pb2.DTYPE_F32, shape=SHAPE, data=packed))
    if with_reference:
        asked.reference.CopyFrom(tensor_pb2.Tensor(dtype=tensor_pb2.DTYPE_F32, shape=SHAPE,
                                                   data=data))
    plain = local.ternary.Verify(asked, timeout=CALL_SECONDS).report
    buffer = memory.buffer(len(packed) + len(data))
    buffer.put(packed)
    buffer.put(data, len(packed))

    def chunks():
        parts = [("chunk", packed, 0, 17408)]
        if with_reference:
            parts.append(("reference", data, len(packed), 256 << 10))
        cut = [(at / len(all_), kind, base, at, min(size, len(all_) - at))
               for kind, all_, base, size in parts for at in range(0, len(all_), size)]
        for _, kind, base, at, size in sorted(cut):
            yield kind, tensor_pb2.TensorChunk(offset=at, region=buffer.region(base + at, size))

    replies = list(local.ternary.VerifyStream(
        verify_stream(claim, chunks(), tensor_pb2.DTYPE_F32 if with_reference else 0),
        timeout=CALL_SECONDS))
    sent = len(list(chunks()))
    counts = [reply.chunks_done for reply in replies[:-1]]
    assert counts == sorted(set(counts)), "the end counts the rest, perhaps all"
    assert all(0 < count <= sent for count in counts)
    assert [reply.HasField("report") for reply in replies] == [False] * (len(replies) - 1) + [True]
    same_report(replies[-1].report, plain)


# ---- a client that changes its memory --------------------------------------------------------


def test_a_reply_agrees_with_itself_while_the_client_changes_its_bytes(local, memory, values):
    """A thread writes other weights all the time. Codes, scales, counts and digest of a reply
    are those of one and the same tensor: the daemon computes from a copy."""
    ours, encoding = values.tobytes(), tensor_pb2.ENCODING_INT8
    others = np.ascontiguousarray(values[::-1]).tobytes()
    buffer = memory.buffer(2 * len(ours))
    stop = threading.Event()

    def change():
        while not stop.is_set():
            buffer.put(others)
            buffer.put(ours)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(20):
            asked = request(None, encoding, region=buffer.region(0, len(ours)))
            asked.options.reply.CopyFrom(buffer.region(len(ours), len(ours) // 4))
            reply = local.ternary.Project(asked, timeout=CALL_SECONDS)
            codes = bytes(buffer.bytes[len(ours):len(ours) + len(ours) // 4])
            signs = np.frombuffer(codes, np.int8)
            report = reply.report
            assert (report.negatives, report.zeros, report.positives) == tuple(
                int((signs == sign).sum()) for sign in (-1, 0, 1))
            verified = local.ternary.Verify(ternary_pb2.VerifyRequest(
                options=ternary_pb2.VerifyOptions(encoding=encoding, scales=reply.scales),
                tensor=tensor_pb2.Tensor(dtype=tensor_pb2.DTYPE_F32, shape=SHAPE, data=codes)),
                timeout=CALL_SECONDS).report
            assert verified.digest == report.digest and verified.is_ternary
    finally:
        stop.set()
        thread.join()


def test_the_owner_may_give_its_pages_back(local, memory, values):
    """Holes that the owner makes read as zeros: the daemon neither stops nor fails."""
    data = values.tobytes()
    fd = memory_file(len(data))
    reply = memory.ask([fd], register_bytes=len(data))
    buffer = Buffer(reply.buffer, fd, len(data))
    buffer.put(data)
    buffer.bytes.madvise(9)  # MADV_REMOVE: a hole in the file
    os.close(fd)
    report = local.ternary.Project(request(None, tensor_pb2.ENCODING_INT8,
                                           region=buffer.region(0, len(data))),
                                   timeout=CALL_SECONDS).report
    assert report.zeros == report.elements


# ---- lifetimes ----------------------------------------------------------------------------------


def test_a_released_buffer_is_not_known_any_more(local, memory, values):
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    region = buffer.put(data)
    reply = memory.ask(release=buffer.id)
    assert reply.status == 0 and reply.buffer == buffer.id
    refused(lambda: local.ternary.Project(request(None, 0, region=region), timeout=CALL_SECONDS),
            PRECONDITION, "tensor.region", "not registered")
    assert memory.ask(release=buffer.id).status == grpc.StatusCode.NOT_FOUND.value[0]


def test_a_buffer_goes_with_its_connection(local, values):
    data = values.tobytes()
    with sharing(local.path) as connection:
        buffer = connection.buffer(len(data))
        region = buffer.put(data)
    deadline = time.monotonic() + CALL_SECONDS
    while mapped(local.daemon):
        assert time.monotonic() < deadline
    refused(lambda: local.ternary.Project(request(None, 0, region=region), timeout=CALL_SECONDS),
            PRECONDITION, "tensor.region")


def mapped(daemon):
    return sum("memfd:test" in line for line in open(f"/proc/{daemon.process.pid}/maps"))


def test_a_call_keeps_the_buffers_that_it_uses(local, values):
    """The connection is closed while a stream waits for its second half: the stream goes on
    with what it has named, then names something that is gone, and the memory is unmapped."""
    data = values.tobytes()
    connection = Sharing(local.path)
    buffer = connection.buffer(len(data))
    buffer.put(data)
    go = threading.Event()

    def requests():
        yield ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
            options=options(tensor_pb2.ENCODING_INT8), dtype=tensor_pb2.DTYPE_F32, shape=SHAPE))
        yield ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
            offset=0, region=buffer.region(0, 256 << 10)))
        assert go.wait(CALL_SECONDS)
        yield ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
            offset=256 << 10, region=buffer.region(256 << 10, 256 << 10)))

    replies = local.ternary.ProjectStream(requests(), timeout=CALL_SECONDS)
    while next(replies).WhichOneof("message") != "chunk":
        pass
    assert mapped(local.daemon)
    connection.close()
    go.set()
    refused(lambda: list(replies), PRECONDITION, "chunk.region", "not registered")
    deadline = time.monotonic() + CALL_SECONDS
    while mapped(local.daemon):
        assert time.monotonic() < deadline


def test_a_release_waits_for_the_calls_that_use_the_buffer(local, memory, values):
    """The reply to the release comes after the call has ended, so the memory may be used
    again then."""
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    buffer.put(data)
    go = threading.Event()

    def requests():
        yield ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
            options=options(tensor_pb2.ENCODING_INT8), dtype=tensor_pb2.DTYPE_F32, shape=SHAPE,
            replies_in_memory=True))
        yield ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
            offset=0, region=buffer.region(0, 256 << 10)))
        go.wait(CALL_SECONDS)

    replies = local.ternary.ProjectStream(requests(), timeout=CALL_SECONDS)
    while next(replies).WhichOneof("message") != "chunk":
        pass
    sequence = memory.send(release=buffer.id)
    memory.socket.settimeout(0.05)
    with pytest.raises(socket.timeout):
        memory.receive()
    memory.socket.settimeout(CALL_SECONDS)
    replies.cancel()
    reply = memory.receive()
    assert (reply.sequence, reply.status, reply.buffer) == (sequence, 0, buffer.id)
    go.set()


@pytest.mark.parametrize("end", ["cancel", "deadline"])
def test_nothing_is_written_after_a_call_has_ended(local, memory, values, end):
    """A call that is cancelled, or whose deadline passes, while its tiles are computed: once
    the buffer is released, its bytes change no more."""
    data = np.tile(values, (16, 1)).tobytes()
    size = len(data)
    buffer = memory.buffer(2 * size)
    asked = request(None, 0, shape=(SHAPE[0] * 16, SHAPE[1]), region=buffer.put(data))
    asked.options.reply.CopyFrom(buffer.region(size, size))
    call = local.ternary.Project.future(asked, timeout=0.002 if end == "deadline" else None)
    if end == "cancel":
        call.cancel()
    try:
        call.result(CALL_SECONDS)
    except (grpc.RpcError, grpc.FutureCancelledError):
        pass
    assert memory.ask(release=buffer.id).status == 0
    before = bytes(buffer.bytes[size:])
    plain = local.ternary.Project(request(values.tobytes(), 0), timeout=CALL_SECONDS)
    assert bytes(buffer.bytes[size:]) == before
    expected = plain.data * 16
    tile = 256 << 10  # a tile is there, or it is not
    for at in range(0, size, tile):
        assert before[at:at + tile] in (expected[at:at + tile], bytes(len(before[at:at + tile])))


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("region,words", [
    (lambda b, n: b.region(1, n), ("are not within the buffer's",)),
    (lambda b, n: b.region(2 ** 64 - 1, n), ("are not within the buffer's",)),
    (lambda b, n: b.region(0, 2 ** 64 - 1), ("tensor.data",)),
    (lambda b, n: b.region(0, n - 4), ("tensor.data", "the shape needs")),
    (lambda b, n: b.region(0, 0), ("tensor.data", "0 bytes")),
])
def test_a_region_out_of_bounds_is_refused(local, memory, values, region, words):
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    refused(lambda: local.ternary.Project(
        request(None, 0, region=region(buffer, len(data))), timeout=CALL_SECONDS), INVALID, *words)


@pytest.mark.parametrize("identity", [b"", b"short", bytes(16)])
def test_a_region_of_an_unknown_buffer_is_refused(local, values, identity):
    region = memory_pb2.MemoryRegion(buffer=identity, offset=0, bytes=values.nbytes)
    refused(lambda: local.ternary.Project(request(None, 0, region=region), timeout=CALL_SECONDS),
            PRECONDITION, "tensor.region", "not registered")


def test_a_call_over_tcp_may_not_name_memory(local, memory, values):
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    asked = request(None, 0, region=buffer.put(data))
    refused(lambda: local.daemon.ternary.Project(asked, timeout=CALL_SECONDS),
            PRECONDITION, "tensor.region", "over TCP", "Unix socket")


def test_a_reply_region_of_another_size_is_refused(local, memory, values):
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    asked = request(None, tensor_pb2.ENCODING_INT8, region=buffer.put(data))
    asked.options.reply.CopyFrom(buffer.region(0, len(data)))
    refused(lambda: local.ternary.Project(asked, timeout=CALL_SECONDS), INVALID, "options.reply",
            str(len(data)), str(len(data) // 4))


def test_data_and_region_together_are_refused(local, memory, values):
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    asked = request(data, 0)
    asked.tensor.region.CopyFrom(buffer.put(data))
    refused(lambda: local.ternary.Project(asked, timeout=CALL_SECONDS), INVALID,
            "tensor.region", "together with data")


@pytest.mark.parametrize("first,second,words", [
    ("region", "data", ("chunk.region", "missing")), ("data", "region", ("chunk.region", "set, but")),
    ("both", None, ("chunk.region", "together with data")),
    ("crc", None, ("chunk.region", "together with crc32c"))])
def test_a_stream_has_all_its_chunks_in_memory_or_none(local, memory, values, first, second,
                                                       words):
    data = values.tobytes()
    buffer = memory.buffer(len(data))
    buffer.put(data)

    def chunk(kind, at):
        made = tensor_pb2.TensorChunk(offset=at)
        if kind != "data":
            made.region.CopyFrom(buffer.region(at, 4096))
        if kind in ("data", "both"):
            made.data = data[at:at + 4096]
        if kind == "crc":
            made.crc32c = 1
        return ternary_pb2.ProjectStreamRequest(chunk=made)

    requests = [ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
        dtype=tensor_pb2.DTYPE_F32, shape=SHAPE)), chunk(first, 0)]
    if second:
        requests.append(chunk(second, 4096))
    refused(lambda: list(local.ternary.ProjectStream(iter(requests), timeout=CALL_SECONDS)),
            INVALID, *words)


def test_a_call_names_at_most_eight_buffers(local, memory, values):
    data = values.tobytes()
    buffers = [memory.buffer(PAGE) for _ in range(9)]
    requests = [ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
        dtype=tensor_pb2.DTYPE_F32, shape=SHAPE))]
    for number, buffer in enumerate(buffers):
        requests.append(ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
            offset=number * 64, region=buffer.put(data[:64]))))
    refused(lambda: list(local.ternary.ProjectStream(iter(requests), timeout=CALL_SECONDS)),
            INVALID, "chunk.region", "at most 8")
    assert 'limit="call_buffers"} 1' in local_metrics(local)


@pytest.mark.parametrize("size,more,words", [
    (PAGE, {"seals": 0}, "F_SEAL_SHRINK"), (PAGE, {"seals": SHRINK}, "F_SEAL_GROW"),
    (PAGE, {"seals": SHRINK | GROW | WRITE}, "may not be written"),
    (8 * PAGE, {"allocated": PAGE}, "only 4096 bytes of the file are allocated"),
    (8 * PAGE, {"allocated": 0}, "only 0 bytes")])
def test_memory_that_is_not_safe_is_refused(memory, size, more, words):
    reply = memory.register(size, **more)
    assert reply.status == INVALID.value[0] and words in reply.message
    assert reply.message.startswith("register_bytes: ")


def test_files_of_other_kinds_are_refused(memory, tmp_path):
    with open(tmp_path / "file", "w+b") as file:
        file.write(bytes(PAGE))
        reply = memory.ask([file.fileno()], register_bytes=PAGE)
    assert reply.status == INVALID.value[0] and "memfd_create" in reply.message
    left, right = socket.socketpair()
    with left, right:
        assert memory.ask([left.fileno()], register_bytes=PAGE).status == INVALID.value[0]


def test_packets_that_are_wrong_are_refused(memory):
    """Each gets an answer, and the next packet is served."""
    fd = memory_file(PAGE)
    for fds, fields, words in [
            ([], {"register_bytes": PAGE}, "no descriptor"), ([fd, fd], {"register_bytes": PAGE}, "several"),
            ([fd], {}, "either"), ([fd], {"register_bytes": PAGE, "release": bytes(16)}, "either"),
            ([fd], {"register_bytes": 2 * PAGE}, "the file has 4096 bytes"),
            ([], {"release": b"short"}, "no such buffer")]:
        assert words in memory.ask(fds, **fields).message
    memory.socket.send(b"\xff\xff")
    assert memory.receive().status == INVALID.value[0]
    os.close(fd)
    assert memory.register(PAGE).status == 0


def test_a_packet_that_is_too_long_closes_the_connection(memory):
    memory.socket.send(bytes(4096))
    assert memory.socket.recv(16) == b""


# ---- bounds -------------------------------------------------------------------------------------


def test_the_number_of_buffers_is_bounded(start, tmp_path):
    local = Local(start, tmp_path, "--memory-buffers-max", 2)
    with sharing(local.path) as one, sharing(local.path) as other:
        assert [one.register(PAGE).status for _ in range(3)] == [0, 0, EXHAUSTED.value[0]]
        assert "memory_buffers_max is 2" in one.register(PAGE).message
        assert other.register(PAGE).status == 0, "the bound is that of a connection"
        assert 'limit="memory_buffers"} 2' in local_metrics(local)
        assert "tritd_memory_buffers 3" in local_metrics(local)
        assert f"tritd_memory_buffer_bytes {3 * PAGE}" in local_metrics(local)


def test_the_bytes_of_buffers_are_bounded(start, tmp_path):
    local = Local(start, tmp_path, "--memory-buffer-bytes-max", 3 * PAGE)
    with sharing(local.path) as one:
        assert one.register(4 * PAGE).status == EXHAUSTED.value[0]
        first = one.buffer(2 * PAGE)
        assert "memory_buffer_bytes_max is 12288" in one.register(2 * PAGE).message
        assert one.ask(release=first.id).status == 0
        assert one.register(3 * PAGE).status == 0
        assert 'limit="memory_buffer_bytes"} 2' in local_metrics(local)


def test_buffers_are_charged_to_the_budget(start, tmp_path):
    """What is shared counts as memory that the client makes the daemon hold."""
    local = Local(start, tmp_path, "--memory-max", 64 << 20)
    used = re.compile(r"^tritd_memory_budget_used_bytes (\d+)", re.M)
    with sharing(local.path) as one:
        before = int(used.search(local_metrics(local))[1])
        assert one.register(16 << 20).status == 0
        assert int(used.search(local_metrics(local))[1]) - before >= 16 << 20
        reply = one.register(48 << 20)
        assert reply.status == EXHAUSTED.value[0] and "memory_bytes_max" in reply.message
    deadline = time.monotonic() + CALL_SECONDS
    while int(used.search(local_metrics(local))[1]) >= before + (16 << 20):
        assert time.monotonic() < deadline


def local_metrics(local):
    with urllib.request.urlopen(f"http://{local.daemon.http}/metrics", timeout=CALL_SECONDS) as got:
        return got.read().decode()


def of_another_user(path):
    """A connection to the memory socket by the user nobody, who may lack access to the folders above."""
    before = os.getcwd()
    path.parent.chmod(0o711)
    os.chdir(path.parent)
    os.seteuid(65534)
    try:
        return Sharing(path.name)
    finally:
        os.seteuid(0)
        os.chdir(before)


def test_memory_connections_are_bounded(start, tmp_path):
    """One user has at most three times what is free, so that another one finds a place."""
    local = Local(start, tmp_path, "--unix-mode", "666")
    connections = [Sharing(local.path) for _ in range(96)]
    assert connections[-1].register(PAGE).status == 0
    late = Sharing(local.path)
    assert late.socket.recv(16) == b""
    assert 'limit="memory_connections"} 1' in local_metrics(local)
    if os.geteuid() == 0:
        connections.append(of_another_user(local.path))
        assert connections[-1].register(PAGE).status == 0
    for one in [late, *connections]:
        one.close()


def test_regions_that_wait_are_bounded(start, tmp_path):
    """A hundred chunks of a MiB that arrive at once: of those for which there are no tiles yet,
    64 may wait."""
    local = Local(start, tmp_path)
    size = 1 << 20
    with sharing(local.path) as memory:
        buffer = memory.buffer(size)
        messages = [ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
            dtype=tensor_pb2.DTYPE_F32, shape=(100, size // 4)))]
        messages += [ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
            offset=number * size, region=buffer.region(0, size))) for number in range(100)]
        payload = b"".join(b"\0" + len(text).to_bytes(4, "big") + text
                           for text in (one.SerializeToString() for one in messages))
        assert len(payload) < 16384, "one frame, which the daemon reads at once"
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(local.path))
            raw.sendall(wire.PREFACE + wire.settings() + wire.request(1, wire.PROJECT_STREAM) +
                        wire.frame(wire.DATA, 1, payload))
            deadline = time.monotonic() + CALL_SECONDS
            while 'limit="regions_waiting"} 1' not in local_metrics(local):
                assert time.monotonic() < deadline


def test_chunks_far_ahead_of_the_other_tensor_are_refused(local, memory):
    """As by socket, chunks are refused if more than 16 MiB of tiles would wait for the reference."""
    size = 1 << 20
    buffer = memory.buffer(size)
    rows = 128 * size // 4 // 1024

    def requests():
        yield ternary_pb2.VerifyStreamRequest(start=ternary_pb2.VerifyStart(
            dtype=tensor_pb2.DTYPE_F32, shape=(rows, 1024),
            reference_dtype=tensor_pb2.DTYPE_F32))
        for number in range(128):
            yield ternary_pb2.VerifyStreamRequest(chunk=tensor_pb2.TensorChunk(
                offset=number * size, region=buffer.region(0, size)))

    refused(lambda: list(local.ternary.VerifyStream(requests(), timeout=CALL_SECONDS)),
            INVALID, "chunk", "interleave their chunks")
    assert 'limit="ahead_bytes"} 1' in local_metrics(local)


def test_without_buffers_there_is_no_memory_socket(start, tmp_path, values):
    local = Local(start, tmp_path, "--memory-buffers-max", 0)
    assert not os.path.exists(f"{local.path}.memory")
    region = memory_pb2.MemoryRegion(buffer=bytes(16), offset=0, bytes=values.nbytes)
    refused(lambda: local.ternary.Project(request(None, 0, region=region), timeout=CALL_SECONDS),
            PRECONDITION, "tensor.region", "memory_buffers_max is 0")


def test_the_memory_socket_has_the_mode_of_its_socket(start, tmp_path):
    local = Local(start, tmp_path, "--unix-mode", "0600")
    assert os.stat(f"{local.path}.memory").st_mode & 0o777 == 0o600


def test_a_socket_whose_path_leaves_no_room_serves_without_memory(start, tmp_path):
    path = "/tmp/" + "s" * 100
    daemon = start("--listen", f"unix:{path}")
    daemon.wait_log("memory_socket_failed", "too long")
    os.stat(path)
