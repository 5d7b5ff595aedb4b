# SPDX-License-Identifier: Apache-2.0
"""The numeric contract in NumPy, and helpers that make messages from arrays. Independent of
the C kernels; tests compare with it where there is no golden tensor."""
import google_crc32c
import numpy as np

from tritd import tensor_pb2, ternary_pb2

F32, F16, BF16 = tensor_pb2.DTYPE_F32, tensor_pb2.DTYPE_F16, tensor_pb2.DTYPE_BF16
WIDTH = {F32: 4, F16: 2, BF16: 2}


def widen(data, dtype):
    """Bytes of a dtype as float32."""
    if dtype == F32:
        return np.frombuffer(data, "<f4")
    if dtype == F16:
        return np.frombuffer(data, "<f2").astype(np.float32)
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def narrow(values, dtype):
    """float32 as bytes of a dtype, rounded to nearest even."""
    values = np.ascontiguousarray(values, np.float32)
    if dtype == F32:
        return values.tobytes()
    if dtype == F16:
        with np.errstate(over="ignore"):
            return values.astype("<f2").tobytes()
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def project(w, group_size=128, exact=False):
    """Codes and f32 scales [rows, groups] of a float32 array, grouped along its last axis."""
    rows = w.reshape(-1, w.shape[-1]).astype(np.float64)
    n = rows.shape[1]
    groups = -(-n // group_size)
    padded = np.zeros((rows.shape[0], groups * group_size))
    padded[:, :n] = np.abs(rows)
    count = np.full(groups, float(group_size))
    if exact and n % group_size:
        count[-1] = n % group_size
    sums = padded.reshape(rows.shape[0], groups, group_size).sum(axis=2)
    scales = (sums / count).astype(np.float32)
    s = np.repeat(scales, group_size, axis=1)[:, :n].astype(np.float64)
    codes = (2 * rows > s).astype(np.int8) - (-2 * rows > s).astype(np.int8)
    return codes.reshape(w.shape), scales


def dense(w, codes, scales, dtype=F32, group_size=128):
    """t*s with the sign of zero kept, as bytes of a dtype."""
    n = w.shape[-1]
    s = np.repeat(widen(narrow(scales, dtype), dtype).reshape(scales.shape), group_size,
                  axis=1)[:, :n]
    t = np.copysign(np.abs(codes).astype(np.float32), w).reshape(-1, n)
    return narrow(t * s, dtype)


def pq2_0(codes, scales):
    """GGUF PQ2_0 blocks: f16 scale, 32 bytes of codes t+1, least significant first."""
    c = (codes.reshape(-1, 32, 4) + 1).astype(np.uint8)
    packed = c[..., 0] | c[..., 1] << 2 | c[..., 2] << 4 | c[..., 3] << 6
    d = scales.reshape(-1).astype("<f2").view(np.uint8).reshape(-1, 2)
    return np.concatenate([d, packed], axis=1).astype(np.uint8).tobytes()


def tensor(array, dtype=F32):
    return tensor_pb2.Tensor(dtype=dtype, shape=array.shape, data=narrow(array, dtype))


def options(**fields):
    return ternary_pb2.ProjectOptions(**fields)


def project_request(array, layer=None, dtype=F32, **fields):
    return ternary_pb2.ProjectRequest(options=options(**fields), layer=layer,
                                      tensor=tensor(array, dtype))


def stream_requests(data, shape, chunk_bytes, layer=None, dtype=F32, crc=None, times=1, **fields):
    """The messages of a ProjectStream, with the tensor's bytes cut every chunk_bytes. With one
    scale they are sent twice."""
    yield ternary_pb2.ProjectStreamRequest(start=ternary_pb2.ProjectStart(
        options=options(**fields), layer=layer, dtype=dtype, shape=shape))
    data *= times
    for offset in range(0, len(data), chunk_bytes):
        piece = data[offset:offset + chunk_bytes]
        yield ternary_pb2.ProjectStreamRequest(chunk=tensor_pb2.TensorChunk(
            offset=offset, data=piece, crc32c=crc(piece) if crc else None))


def gather(replies):
    """data, scales and report from the replies of a ProjectStream; checks their order."""
    data, scales, report = bytearray(), bytearray(), None
    for reply in replies:
        kind = reply.WhichOneof("message")
        assert report is None, "a message after the report"
        if kind == "report":
            report = reply.report
        else:
            piece, into = getattr(reply, kind), data if kind == "chunk" else scales
            assert piece.offset == len(into), f"{kind} at {piece.offset}, {len(into)} was due"
            if piece.HasField("crc32c"):
                assert piece.crc32c == crc32c(piece.data)
            into += piece.data
    return bytes(data), bytes(scales), report


def crc32c(data):
    return google_crc32c.value(bytes(data))
