# SPDX-License-Identifier: Apache-2.0
"""Layers.Forward with x and y in memory that a local client shares with the daemon: the bits of
the socket, and nothing that a client does with its memory harms anyone else."""
import re
import threading
import time
import urllib.request

import grpc
import numpy as np
import pytest

import reference as ref
from held import BF16, EXHAUSTED, F16, F32, INT8, INVALID, PRECONDITION, Service, load, normal
from sharing import PAGE, Sharing, sharing
from tritd import CALL_SECONDS, SLOW, UNLIMITED, Daemon, refused, tensor_pb2
from trit.v1 import layers_pb2, memory_pb2

ROWS, COLUMNS, BATCH = 600, 1024, 70  # several pieces of either


class Local:
    """A daemon with a Unix socket, and its layers over both sockets."""

    def __init__(self, folder, *words):
        self.path = folder / "s"
        self.daemon = Daemon(folder / "daemon", "--listen", f"unix:{self.path}", *words)
        self.tcp = Service(self.daemon)
        self.channel = grpc.insecure_channel(f"unix:{self.path}", options=UNLIMITED)
        self.layers = Service(self)

    def stop(self):
        self.channel.close()
        assert self.daemon.stop() == 0, self.daemon.log()[-4000:]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    subject = Local(tmp_path_factory.mktemp("local"))
    weight = normal(np.random.default_rng(5), ROWS, COLUMNS)
    load(subject.tcp, "fc", weight, weight[:, 0])
    load(subject.tcp, "twice", np.vstack([weight[:256]] * 2))
    load(subject.tcp, "large", normal(np.random.default_rng(6), 1024, COLUMNS))
    yield subject
    subject.stop()


@pytest.fixture
def memory(local):
    with sharing(local.path) as connection:
        yield connection


@pytest.fixture(scope="module")
def values():
    return normal(np.random.default_rng(7), BATCH, COLUMNS)


def asked(region, shape, dtype=F32, name="fc", **fields):
    return dict(name=name, x=tensor_pb2.Tensor(dtype=dtype, shape=shape, region=region), **fields)


# ---- the same bits ------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, BATCH])
@pytest.mark.parametrize("activations,errors", [(0, False), (INT8, False), (INT8, True)])
@pytest.mark.parametrize("dtype", [F32, F16, BF16])
def test_y_in_memory_is_that_by_socket(local, memory, values, dtype, activations, errors, batch):
    """x and y as regions, either alone, and y over x: always the bits of the answer over TCP. No
    byte beside y changes."""
    data, shape = ref.narrow(values[:batch], dtype), (batch, COLUMNS)
    fields = dict(activations=activations, report_error=errors)
    plain = local.tcp.Forward(
        name="fc", x=tensor_pb2.Tensor(dtype=dtype, shape=shape, data=data), **fields)
    size, at = len(plain.y.data), len(data) + 64
    buffer = memory.buffer(len(data) + size + 2 * PAGE)
    room = buffer.region(at, size + 32)

    inside = local.layers.Forward(**asked(buffer.put(data), shape, dtype, reply=room, **fields))
    assert inside.y.data == b"" and inside.y.region == buffer.region(at, size)
    assert buffer.bytes[at:at + size] == plain.y.data
    assert buffer.bytes[:len(data)] == data and not any(buffer.bytes[len(data):at])
    assert not any(buffer.bytes[at + size:])
    assert list(inside.y.shape) == list(plain.y.shape) and inside.y.dtype == dtype
    assert (inside.max_error, inside.relative_error) == (plain.max_error, plain.relative_error)

    assert local.layers.Forward(**asked(buffer.put(data), shape, dtype, **fields)) == plain
    buffer.put(bytes(size), at)
    alone = local.layers.Forward(
        name="fc", x=tensor_pb2.Tensor(dtype=dtype, shape=shape, data=data), reply=room, **fields)
    assert alone.y == inside.y and buffer.bytes[at:at + size] == plain.y.data
    over = local.layers.Forward(
        **asked(buffer.put(data), shape, dtype, reply=buffer.region(0, size), **fields))
    assert over.y.region.bytes == size and buffer.bytes[:size] == plain.y.data


def test_the_pieces_of_a_product_have_one_copy_of_x(local, memory, values):
    """A thread writes another x all the time. Two rows of weights that are equal lie in different
    pieces, and give the same y: the daemon computes from a copy."""
    ours, others = values.tobytes(), values[::-1].tobytes()
    buffer = memory.buffer(len(ours))
    stop = threading.Event()

    def change():
        while not stop.is_set():
            buffer.put(others)
            buffer.put(ours)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for turn in range(20):
            y = local.layers.Forward(**asked(buffer.region(0, len(ours)), values.shape,
                                             name="twice", activations=turn % 2)).y
            y = np.frombuffer(y.data, np.float32).reshape(BATCH, 512)
            assert (y[:, :256] == y[:, 256:]).all()
    finally:
        stop.set()
        thread.join()


# ---- bounds ----------------------------------------------------------------------------------


def test_a_place_that_is_too_small_is_not_used(local, memory, values):
    """y comes as bytes, and nothing is written."""
    data = values.tobytes()
    buffer = memory.buffer(len(data) + BATCH * ROWS * 4)
    reply = local.layers.Forward(**asked(
        buffer.put(data), values.shape, reply=buffer.region(len(data), BATCH * ROWS * 4 - 1)))
    assert len(reply.y.data) == BATCH * ROWS * 4 and not reply.y.HasField("region")
    assert not any(buffer.bytes[len(data):])


def test_regions_beyond_their_bounds_are_refused(local, memory, values):
    data, shape = values.tobytes(), values.shape
    buffer = memory.buffer(len(data))
    region, size = buffer.put(data), len(buffer.bytes)

    def refuse(status, field, message, **fields):
        refused(lambda: local.layers.Forward(**fields), status, field, message)

    for bad in (buffer.region(size - 4, 8), buffer.region(size + 8, 8), buffer.region(0, 0),
                buffer.region(2**64 - 4, 8)):
        refuse(INVALID, "x.region", "not within the buffer", **asked(bad, shape))
        refuse(INVALID, "reply", "not within the buffer", **asked(region, shape, reply=bad))
    refuse(INVALID, "x.region", "but the shape needs", **asked(buffer.region(0, 64), shape))
    refuse(INVALID, "x.region", "but the shape needs", **asked(region, shape, BF16))
    refuse(INVALID, "x.dtype", "is not F32", **asked(region, shape, tensor_pb2.DTYPE_I8))
    refuse(INVALID, "x.shape", "the layer has", **asked(region, (BATCH, COLUMNS - 1)))
    both = asked(region, shape)
    both["x"].data = data
    refuse(INVALID, "x.region", "set together with data", **both)
    foreign = memory_pb2.MemoryRegion(buffer=bytes(16), offset=0, bytes=len(data))
    refuse(PRECONDITION, "x.region", "not registered", **asked(foreign, shape))
    refuse(PRECONDITION, "reply", "not registered", **asked(region, shape, reply=foreign))
    refused(lambda: local.tcp.Forward(**asked(region, shape)), PRECONDITION, "x.region", "TCP")
    # Other methods need the bytes.
    refused(lambda: local.layers.Backward(name="fc", x=both["x"], grad_output=asked(
        region, (BATCH, ROWS))["x"]), INVALID, "grad_output.data", "0 bytes")


def test_the_copy_of_x_and_the_product_are_charged_to_the_budget(tmp_path):
    local = Local(tmp_path, "--memory-max", 40 << 20)
    used = re.compile(r"^tritd_memory_budget_used_bytes (\d+)", re.M)

    def budget():
        with urllib.request.urlopen(f"http://{local.daemon.http}/metrics",
                                    timeout=CALL_SECONDS) as got:
            return int(used.search(got.read().decode())[1])

    load(local.tcp, "wide", np.ones((1024, 16), np.float32))
    with sharing(local.path) as memory:
        buffer = memory.buffer(18 << 20)
        before = budget()
        fields = asked(buffer.region(0, 4096 * 64), (4096, 16), name="wide",
                       reply=buffer.region(0, 16 << 20))
        refused(lambda: local.layers.Forward(**fields), EXHAUSTED, "", "memory")
        assert not any(buffer.bytes[:1 << 20])
        deadline = time.monotonic() + CALL_SECONDS
        while budget() > before + (1 << 20):
            assert time.monotonic() < deadline
        few = asked(buffer.region(0, 64), (1, 16), name="wide", reply=buffer.region(64, 4096))
        assert local.layers.Forward(**few).y.region.bytes == 4096
    local.stop()


# ---- lifetimes -----------------------------------------------------------------------------


class Product:
    """A product of a hundred milliseconds or more with y in memory, of which some is written."""

    BATCH = 512 if SLOW else 4096

    def __init__(self, local):
        self.connection = Sharing(local.path)
        size = self.BATCH * COLUMNS * 4
        self.buffer = self.connection.buffer(2 * size)
        self.x = normal(np.random.default_rng(8), self.BATCH, COLUMNS)
        self.place = self.buffer.region(size, size)
        fields = asked(self.buffer.put(self.x.tobytes()), self.x.shape, name="large",
                       reply=self.place)
        self.call = local.layers.stub.Forward.future(layers_pb2.LayerForwardRequest(**fields),
                                                     timeout=CALL_SECONDS)
        while not any(self.buffer.bytes[size + at] for at in range(4)) and not self.call.done():
            pass

    def y(self):
        return self.buffer.bytes[self.place.offset:]


def test_a_product_goes_on_with_memory_that_is_gone(local):
    """The connection is closed while the product is in work: it ends, in the memory that it has
    named, and that is unmapped then."""
    product = Product(local)
    product.connection.close()
    assert product.call.result().y.region == product.place
    data = product.x[-1:].tobytes()
    last = local.tcp.Forward(name="large", x=tensor_pb2.Tensor(
        dtype=F32, shape=(1, COLUMNS), data=data)).y
    assert product.y()[-COLUMNS * 4:] == last.data
    deadline = time.monotonic() + CALL_SECONDS
    while any("memfd:test" in line for line in open(f"/proc/{local.daemon.process.pid}/maps")):
        assert time.monotonic() < deadline


def test_a_product_that_is_cancelled_writes_nothing_after_its_release(local):
    """The reply to the release says that the daemon has done with the memory."""
    product = Product(local)
    product.call.cancel()
    assert product.connection.ask(release=product.buffer.id).status == 0
    product.buffer.bytes[product.place.offset:] = b"\xa5" * product.place.bytes
    data = product.x[:64].tobytes()
    local.tcp.Forward(name="large", x=tensor_pb2.Tensor(dtype=F32, shape=(64, COLUMNS), data=data))
    assert product.y() == b"\xa5" * product.place.bytes
    product.connection.close()
