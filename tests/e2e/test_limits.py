# SPDX-License-Identifier: Apache-2.0
"""Each bound of server/base/limits.h is reached and refused from outside."""
import grpc
import numpy as np

import reference as ref
import sharded
from held import spec
from test_http import metrics
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
ROW = np.ones((1, 128), np.float32)


def refusals(daemon, limit):
    return metrics(daemon).get(f'tritd_limit_refusals_total{{limit="{limit}"}}', 0)


def counted(daemon, limit, act):
    before = refusals(daemon, limit)
    act()
    assert refusals(daemon, limit) == before + 1


def project(daemon, **more):
    return daemon.ternary.Project(ref.project_request(ROW, **more.pop("fields", {})),
                                  timeout=CALL_SECONDS, **more)


def test_group_size(daemon):
    """A group size above the bound is refused."""
    counted(daemon, "group_size", lambda: refused(
        lambda: project(daemon, fields={"group_size": 1 << 17}),
        grpc.StatusCode.INVALID_ARGUMENT, 1 << 17))


def test_whole_elements(daemon):
    """A tensor with one scale and too many elements for a packed output is refused."""
    request = ternary_pb2.ProjectRequest(
        options=ref.options(encoding=tensor_pb2.ENCODING_I2_S),
        tensor=tensor_pb2.Tensor(dtype=ref.F32, shape=[(1 << 21) + 1, 128], data=bytes(512)))
    counted(daemon, "whole_elements", lambda: refused(
        lambda: daemon.ternary.Project(request, timeout=CALL_SECONDS),
        grpc.StatusCode.INVALID_ARGUMENT, "tensor.shape", 1 << 28))


def test_group_size_of_a_layer(daemon, layers, name):
    """A layer with a group size above the bound is refused."""
    counted(daemon, "group_size", lambda: refused(
        lambda: layers.Create(spec=spec(name, 2, 64, group_size=1 << 17)),
        grpc.StatusCode.INVALID_ARGUMENT, "spec.group_size", 1 << 17))


def test_layer_elements(daemon, layers, name):
    """A layer with too many elements is refused."""
    counted(daemon, "layer_elements", lambda: refused(
        lambda: layers.Create(spec=spec(name, 1 << 24, (1 << 24) + 1)),
        grpc.StatusCode.INVALID_ARGUMENT, "spec.out_features", "2^48"))


def test_layer_file_name_bytes(daemon, layers):
    """A layer whose escaped name is longer than a file name may be is refused."""
    counted(daemon, "layer_file_name_bytes", lambda: refused(
        lambda: layers.Create(spec=spec("/" * 86, 2, 64)),
        grpc.StatusCode.INVALID_ARGUMENT, "spec.name", 255))
    layers.Create(spec=spec("/" * 85, 2, 64))


def test_memory_bytes_of_a_layer(daemon, layers, name):
    """A layer that does not fit the memory budget is refused."""
    counted(daemon, "layers_percent", lambda: refused(
        lambda: layers.Create(spec=spec(name, 1 << 20, 1 << 20)), EXHAUSTED, "budget"))


def test_header_fields(daemon):
    """A request with too many header fields is refused."""
    counted(daemon, "header_bytes", lambda: refused(
        lambda: project(daemon, metadata=[(f"x-{i}", "v") for i in range(120)]), EXHAUSTED))
    project(daemon, metadata=[(f"x-{i}", "v") for i in range(50)])


def test_header_bytes(daemon):
    """A request with a header field that is too long is refused."""
    counted(daemon, "header_bytes", lambda: refused(
        lambda: project(daemon, metadata=[("x-long", "v" * 20000)]), EXHAUSTED))
    project(daemon, metadata=[("x-long", "v" * 8000)])


def test_envelope_bytes(daemon):
    """The small fields of a message are bounded; a run name of 100 kB is refused."""
    request = ref.project_request(ROW, layer=tensor_pb2.LayerRef(run="r" * 100_000, layer="l"))
    counted(daemon, "envelope_bytes", lambda: refused(
        lambda: daemon.ternary.Project(request, timeout=CALL_SECONDS), EXHAUSTED))


def test_chunk_bytes(daemon):
    """A chunk above 4 MiB is refused."""
    big = bytes((4 << 20) + 4)
    requests = [ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
        dtype=ref.F32, shape=[8192, 128])), ternary_pb2.ProjectStreamRequest(
            chunk=tensor_pb2.TensorChunk(data=big))]
    counted(daemon, "chunk_bytes", lambda: refused(
        lambda: list(daemon.ternary.ProjectStream(iter(requests), timeout=CALL_SECONDS)),
        grpc.StatusCode.INVALID_ARGUMENT, len(big)))


def test_message_bytes(daemon):
    """A message above 256 MiB is refused."""
    call = daemon.channel.unary_unary("/trit.v1.Ternary/Project")
    counted(daemon, "message_bytes", lambda: refused(
        lambda: call(bytes((256 << 20) + 1), timeout=CALL_SECONDS), EXHAUSTED, 256 << 20))


def test_memory_bytes(start):
    """A tensor above the budget is refused, and no other call is."""
    own = start("--memory-max", 64 << 20)
    large = np.zeros((1 << 15, 1 << 10), np.float32)  # 128 MiB
    refused(lambda: own.ternary.Project(ref.project_request(large), timeout=CALL_SECONDS),
            EXHAUSTED)
    assert project(own).report.elements == 128


def test_list_page_is_clamped(daemon):
    """A page of reports has at most 1000, even if more are requested."""
    from tritd import report_pb2
    page = daemon.reports.List(report_pb2.ReportsListRequest(page_size=1 << 31),
                               timeout=CALL_SECONDS)
    assert len(page.reports) <= 1000


def test_streams_wait_their_turn(daemon):
    """The client queues calls that exceed the connection's stream limit."""
    calls = [daemon.ternary.Project.future(ref.project_request(ROW), timeout=CALL_SECONDS)
             for _ in range(400)]
    assert all(call.result().report.elements == 128 for call in calls)


def test_shards_bytes(start):
    """A shard that would wait beyond the bound is refused; the last one of a layer is not."""
    daemon = start("--shards-max", "15000")
    values = np.random.default_rng(1).standard_normal((64, 512)).astype(np.float32)
    boxes = sharded.grid(values.shape, [16, 32, 48], [])
    sharded.send(daemon, sharded.project, values, boxes[:3], "r")
    counted(daemon, "shards_bytes", lambda: refused(
        lambda: sharded.send(daemon, sharded.project, values, boxes[3:], "r", step=2), EXHAUSTED,
        "shards_max is 15000"))
    assert metrics(daemon)["tritd_store_waiting_layers"] == 1
    assert 0 < metrics(daemon)["tritd_store_waiting_bytes"] <= 15000
    sharded.send(daemon, sharded.project, values, boxes[3:], "r")
    assert metrics(daemon)["tritd_store_waiting_bytes"] == 0


def test_shards(start):
    """A layer of more shards than the bound is refused at the first one above it."""
    daemon = start("--shards-max", "1G")
    values = np.ones((1, 16), np.float32)

    def send(row):
        return sharded.project(daemon, values, sharded.layer(
            "r", (slice(row, row + 1), slice(0, 16)), (2000, 16)), group_size=16)
    for row in range(1024):
        report = send(row)
    assert (report.shards_present, report.shards_expected) == (1024, 2000)
    counted(daemon, "shards", lambda: refused(lambda: send(1024), EXHAUSTED, "1024 shards"))
