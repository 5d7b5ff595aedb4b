# SPDX-License-Identifier: Apache-2.0
"""Each kind of bad input gets its status and a message with the field and the value, while
another call on the same connection continues undisturbed."""
import grpc
import numpy as np
import pytest

import reference as ref
from streams import HalfSent
from tritd import CALL_SECONDS, SLOW, refused, report_pb2, tensor_pb2, ternary_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
F32, INT8, PQ2_0 = tensor_pb2.DTYPE_F32, tensor_pb2.ENCODING_INT8, tensor_pb2.ENCODING_PQ2_0
Tensor, Chunk = tensor_pb2.Tensor, tensor_pb2.TensorChunk
ROW = np.arange(256, dtype=np.float32).reshape(2, 128) - 100


@pytest.fixture
def bystander(daemon):
    """A stream that is half uploaded when the test begins and is finished and checked after
    the test."""
    stream = HalfSent(daemon)
    yield
    stream.finish()


def project(daemon, tensor, **options):
    return daemon.ternary.Project(ternary_pb2.ProjectRequest(
        options=ref.options(**options), tensor=tensor), timeout=CALL_SECONDS)


# name: (tensor, options, status, words of the message)
TENSORS = {
    "a shape whose product overflows":
        (Tensor(dtype=F32, shape=[1 << 63, 4], data=b"1234"), {}, INVALID,
         ["shape", 1 << 63]),
    "a shape whose bytes overflow":
        (Tensor(dtype=F32, shape=[1 << 31, 1 << 31], data=b"1234"), {}, INVALID,
         ["shape", 1 << 31]),
    "data shorter than the shape":
        (Tensor(dtype=F32, shape=[2, 128], data=bytes(1020)), {}, INVALID, ["data", 1020, 1024]),
    "data longer than the shape":
        (Tensor(dtype=F32, shape=[2, 128], data=bytes(1028)), {}, INVALID, ["data", 1028, 1024]),
    "no data at all":
        (Tensor(dtype=F32, shape=[2, 128]), {}, INVALID, ["data", 0, 1024]),
    "rank 0":
        (Tensor(dtype=F32, data=bytes(4)), {}, INVALID, ["shape", "rank", 0]),
    "rank 9":
        (Tensor(dtype=F32, shape=[1] * 9, data=bytes(4)), {}, INVALID, ["shape", 8]),
    "an empty tensor":
        (Tensor(dtype=F32, shape=[4, 0]), {}, INVALID, ["shape", 0]),
    "an unknown dtype":
        (Tensor(dtype=99, shape=[4], data=bytes(16)), {}, INVALID, ["dtype", 99]),
    "no dtype":
        (Tensor(shape=[4], data=bytes(16)), {}, INVALID, ["dtype"]),
    "a dtype that holds no weights":
        (Tensor(dtype=tensor_pb2.DTYPE_I8, shape=[4], data=bytes(4)), {}, INVALID, ["dtype"]),
    "an unknown encoding":
        (ref.tensor(ROW), {"encoding": 77}, INVALID, ["encoding", 77]),
    "an unknown way with partial groups":
        (ref.tensor(ROW), {"partial_group": 5}, INVALID, ["partial_group", 5]),
    "an unknown detail of reports":
        (ref.tensor(ROW), {"report": 9}, INVALID, ["report", 9]),
    "a group size above the bound":
        (ref.tensor(ROW), {"group_size": 65537}, INVALID, ["group_size", 65537, 65536]),
    "a packed encoding whose row is no multiple of its block":
        (ref.tensor(np.ones((2, 200))), {"encoding": PQ2_0}, INVALID, [200, 128]),
    "a packed encoding with another group size than its block":
        (ref.tensor(ROW), {"encoding": PQ2_0, "group_size": 64}, INVALID, ["group_size", 64]),
}


@pytest.mark.parametrize("name", TENSORS)
def test_refuses(daemon, bystander, name):
    """Project refuses a bad tensor or option, with its field and value in the message."""
    tensor, options, status, words = TENSORS[name]
    refused(lambda: project(daemon, tensor, **options), status, *words)


@pytest.mark.parametrize("name", [n for n in TENSORS if "data" not in n])
def test_refuses_in_a_stream(daemon, bystander, name):
    """ProjectStream refuses the same as Project."""
    tensor, options, status, words = TENSORS[name]
    start = ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
        options=ref.options(**options), dtype=tensor.dtype, shape=tensor.shape))
    chunk = ternary_pb2.ProjectStreamRequest(chunk=Chunk(data=tensor.data))
    refused(lambda: list(daemon.ternary.ProjectStream(iter([start, chunk]),
                                                      timeout=CALL_SECONDS)), status, *words)


@pytest.mark.parametrize("group_size", [0, 1, 3, 4096, 65536])
def test_accepts_every_group_size_up_to_the_bound(daemon, bystander, group_size):
    reply = project(daemon, ref.tensor(ROW), encoding=INT8, group_size=group_size)
    codes, scales = ref.project(ROW, group_size or 128)
    assert reply.data == codes.tobytes() and reply.scales == scales.tobytes()
    assert reply.report.group_size == (group_size or 128)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
def test_names_count_and_first_index_of_non_finite_values(daemon, bystander, bad):
    values = np.ones((40, 300), np.float32)
    values.reshape(-1)[[7041, 7042, 11999]] = bad
    refused(lambda: project(daemon, ref.tensor(values)), INVALID, 3, 7041)
    report = daemon.ternary.Verify(ternary_pb2.VerifyRequest(tensor=ref.tensor(values)),
                                   timeout=CALL_SECONDS).report
    assert report.non_finite == 3 and not report.is_ternary
    refused(lambda: list(daemon.ternary.ProjectStream(
        ref.stream_requests(values.tobytes(), values.shape, 1000), timeout=CALL_SECONDS)),
            INVALID, 3, 7041)


def stream(daemon, *messages):
    start = ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
        dtype=F32, shape=[2, 128]))
    return list(daemon.ternary.ProjectStream(iter([start, *messages]), timeout=CALL_SECONDS))


def piece(offset, data, **more):
    return ternary_pb2.ProjectStreamRequest(chunk=Chunk(offset=offset, data=data, **more))


BYTES = ROW.tobytes()
CHUNKS = {
    "chunks that overlap":
        ([piece(0, BYTES[:512]), piece(508, BYTES[508:])], INVALID, ["offset", 508, 512]),
    "a hole between chunks":
        ([piece(0, BYTES[:512]), piece(516, BYTES[516:])], INVALID, ["offset", 516, 512]),
    "a first chunk that is not at 0":
        ([piece(4, BYTES[4:])], INVALID, ["offset", 4, 0]),
    "a chunk that fails its CRC":
        ([piece(0, BYTES, crc32c=12345)], grpc.StatusCode.DATA_LOSS, ["crc32c"]),
    "a chunk beyond the end":
        ([piece(0, BYTES + b"more")], INVALID, [1028, 1024]),
    "a chunk after the last byte":
        ([piece(0, BYTES), piece(1024, b"more")], INVALID, [1024]),
    "an end before the last byte":
        ([piece(0, BYTES[:1000])], INVALID, [1000, 1024]),
    "an end before the first byte":
        ([], INVALID, [0, 1024]),
    "a second start":
        ([ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
            dtype=F32, shape=[2, 128]))], INVALID, ["start"]),
    "a message that is neither start nor chunk":
        ([ternary_pb2.ProjectStreamRequest()], INVALID, []),
    "a chunk above 4 MiB":
        ([piece(0, bytes((4 << 20) + 1))], INVALID, [(4 << 20) + 1]),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_refuses_a_stream_with(daemon, bystander, name):
    """A stream with bad chunks is refused, with the offset or size in the message."""
    messages, status, words = CHUNKS[name]
    refused(lambda: stream(daemon, *messages), status, *words)


def test_refuses_a_stream_that_does_not_begin_with_start(daemon, bystander):
    refused(lambda: list(daemon.ternary.ProjectStream(iter([piece(0, BYTES)]),
                                                      timeout=CALL_SECONDS)), INVALID, "start")


def test_refuses_a_stream_without_messages(daemon, bystander):
    refused(lambda: list(daemon.ternary.ProjectStream(iter([]), timeout=CALL_SECONDS)),
            INVALID, "start")


def test_accepts_a_right_crc(daemon, bystander):
    data, _, _ = ref.gather(daemon.ternary.ProjectStream(
        ref.stream_requests(BYTES, ROW.shape, 300, crc=ref.crc32c), timeout=CALL_SECONDS))
    assert data == ref.dense(ROW, *ref.project(ROW))


def raw_call(daemon, method, message):
    call = daemon.channel.unary_unary(f"/trit.v1.Ternary/{method}",
                                      request_serializer=lambda b: b,
                                      response_deserializer=lambda b: b)
    return call(message, timeout=CALL_SECONDS)


@pytest.mark.parametrize("method", ["Project", "Verify", "Unpack", "Backward"])
def test_refuses_truncated_protobuf(daemon, bystander, method):
    message = {
        "Project": ternary_pb2.ProjectRequest(tensor=ref.tensor(ROW)),
        "Verify": ternary_pb2.VerifyRequest(tensor=ref.tensor(ROW)),
        "Unpack": ternary_pb2.UnpackRequest(encoding=PQ2_0, dtype=F32, shape=[2, 128],
                                            data=bytes(68)),
        "Backward": ternary_pb2.BackwardRequest(grad_ternary=ref.tensor(ROW)),
    }[method].SerializeToString()
    raw_call(daemon, method, message)
    for end in [1, 2, 7, len(message) // 2, len(message) - 1]:
        refused(lambda: raw_call(daemon, method, message[:end]), INVALID)
    refused(lambda: raw_call(daemon, method, b"\xff" * 64), INVALID)


def test_refuses_a_message_above_the_limit_before_it_is_buffered(start):
    own = start()
    before = own.memory_kib()
    message = bytes((256 << 20) + 1)
    refused(lambda: raw_call(own, "Project", message), EXHAUSTED, 256 << 20)
    if not SLOW:
        assert own.memory_kib() - before < 64 << 10
    assert project(own, ref.tensor(ROW)).data == ref.dense(ROW, *ref.project(ROW))


def test_refuses_an_unknown_method(daemon, bystander):
    refused(lambda: raw_call(daemon, "Guess", b""), grpc.StatusCode.UNIMPLEMENTED, "Guess")


LAYERS = {
    "a run with control characters": (dict(run="a\nb", layer="l"), ["run"]),
    "a layer with control characters": (dict(run="a", layer="l\x01"), ["layer"]),
    "a run above 255 bytes": (dict(run="r" * 256, layer="l"), ["run", 255]),
    "a layer above 255 bytes": (dict(run="r", layer="l" * 256), ["layer", 255]),
    "a run without a layer": (dict(run="r"), ["layer"]),
    "a layer without a run": (dict(layer="l"), ["run"]),
    "a step above 2^63-1": (dict(run="r", layer="l", step=1 << 63), ["step", 1 << 63]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_refuses_a_layer_ref_with(daemon, bystander, name):
    """A bad LayerRef is refused, with its field in the message."""
    fields, words = LAYERS[name]
    layer = tensor_pb2.LayerRef(**fields)
    refused(lambda: daemon.ternary.Project(ref.project_request(ROW, layer=layer),
                                           timeout=CALL_SECONDS), INVALID, *words)


def test_refuses_a_layer_ref_without_a_report(daemon, bystander):
    layer = tensor_pb2.LayerRef(run="r", layer="l")
    refused(lambda: daemon.ternary.Project(
        ref.project_request(ROW, layer=layer, report=report_pb2.REPORT_DETAIL_NONE),
        timeout=CALL_SECONDS), INVALID, "report")


def test_refuses_another_report_for_an_existing_step(daemon, bystander, run):
    layer = tensor_pb2.LayerRef(run=run, layer="up", step=41)
    first = daemon.ternary.Project(ref.project_request(ROW, layer=layer), timeout=CALL_SECONDS)
    again = daemon.ternary.Project(ref.project_request(ROW, layer=layer), timeout=CALL_SECONDS)
    assert again.report == first.report and again.data == first.data
    refused(lambda: daemon.ternary.Project(ref.project_request(-ROW, layer=layer),
                                           timeout=CALL_SECONDS),
            grpc.StatusCode.ALREADY_EXISTS, run, "up", 41)


def test_refuses_invalid_verification_options(daemon, bystander):
    def verify(reference=None, **options):
        return daemon.ternary.Verify(ternary_pb2.VerifyRequest(
            options=ternary_pb2.VerifyOptions(**options), reference=reference, tensor=ref.tensor(ROW)),
            timeout=CALL_SECONDS)
    refused(lambda: verify(mode=7), INVALID, "mode", 7)
    refused(lambda: verify(tolerance=-1), INVALID, "tolerance", -1)
    refused(lambda: verify(tolerance=float("nan")), INVALID, "tolerance")
    refused(lambda: verify(encoding=INT8), INVALID)
    refused(lambda: verify(group_size=1), INVALID, "options.group_size", "always ternary")
    assert verify(group_size=1, reference=ref.tensor(ROW)).report.is_ternary
    assert verify(group_size=1, mode=ternary_pb2.VERIFY_LATENT).report.is_ternary


def test_refuses_a_reference_of_another_shape(daemon, bystander):
    refused(lambda: daemon.ternary.Verify(ternary_pb2.VerifyRequest(
        reference=ref.tensor(ROW.reshape(4, 64)), tensor=ref.tensor(ROW)), timeout=CALL_SECONDS),
        INVALID, "reference")


def test_refuses_to_unpack_missing_data(daemon, bystander):
    def unpack(**fields):
        return daemon.ternary.Unpack(ternary_pb2.UnpackRequest(**fields), timeout=CALL_SECONDS)
    whole = dict(encoding=PQ2_0, dtype=F32, shape=[2, 128], data=bytes(68))
    unpack(**whole)
    refused(lambda: unpack(**{**whole, "data": bytes(67)}), INVALID, "data", 67, 68)
    refused(lambda: unpack(**{**whole, "shape": [2, 100]}), INVALID, 100, 128)
    refused(lambda: unpack(**{**whole, "dtype": tensor_pb2.DTYPE_I8}), INVALID, "dtype")
    refused(lambda: unpack(**{**whole, "encoding": 77}), INVALID, "encoding", 77)
    refused(lambda: unpack(encoding=INT8, dtype=F32, shape=[2, 128], data=bytes(256),
                           scales=bytes(4)), INVALID, "scales", 4, 8)


def test_unpacks_dense_or_says_why_not(daemon, bystander):
    """ENCODING_DENSE is not packed: Unpack returns the same bytes or refuses."""
    try:
        reply = daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
            dtype=F32, shape=[2, 128], data=BYTES), timeout=CALL_SECONDS)
        assert reply.data == BYTES
    except grpc.RpcError as error:
        assert error.code() == INVALID and "encoding" in error.details()
