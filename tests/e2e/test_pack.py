# SPDX-License-Identifier: Apache-2.0
"""Ternary.Pack keeps the trits and scales of a ternary tensor exactly, or refuses it. Compared
with packings made by NumPy."""
import grpc
import numpy as np
import pytest

import claims
import packings
import reference as ref
from tritd import CALL_SECONDS, refused, tensor_pb2, ternary_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PACKED = range(1, 10)
DTYPES = {"f32": ref.F32, "f16": ref.F16, "bf16": ref.BF16}


def options(source, target, group_size=0, **fields):
    return ternary_pb2.PackOptions(source_encoding=source, encoding=target, group_size=group_size,
                                   **fields)


def pack(daemon, data, shape, source, target, group_size=0, scales=b"", dtype=ref.F32, layer=None,
         **fields):
    return daemon.ternary.Pack(ternary_pb2.PackRequest(
        options=options(source, target, group_size, **fields), layer=layer, scales=scales,
        tensor=tensor_pb2.Tensor(dtype=dtype, shape=shape, data=data)), timeout=CALL_SECONDS)


def pack_stream(daemon, data, shape, source, target, group_size=0, scales=b"", dtype=ref.F32,
                chunk=1001, layer=None, **fields):
    """data, scales and report of a PackStream cut every `chunk` bytes."""
    def requests():
        yield ternary_pb2.PackStreamRequest(start=ternary_pb2.PackStart(
            options=options(source, target, group_size, **fields), layer=layer, dtype=dtype,
            shape=shape, scales=scales))
        for at in range(0, len(data), chunk):
            piece = data[at:at + chunk]
            yield ternary_pb2.PackStreamRequest(chunk=tensor_pb2.TensorChunk(
                offset=at, data=piece, crc32c=ref.crc32c(piece)))
    return ref.gather(daemon.ternary.PackStream(requests(), timeout=CALL_SECONDS))


def unpack(daemon, data, shape, encoding, group_size=0, scales=b"", dtype=ref.F32):
    return daemon.ternary.Unpack(ternary_pb2.UnpackRequest(
        encoding=encoding, dtype=dtype, shape=shape, group_size=group_size, scales=scales,
        data=data), timeout=CALL_SECONDS).data


def trits(random, shape, group_size=128, whole=False):
    """Trits, and scales that are exact in f16, one per group; the third group is all zeros."""
    rows, columns = shape
    t = random.integers(-1, 2, shape).astype(np.int8)
    groups = -(-columns // group_size)
    scales = (random.integers(1, 2000, (rows, groups)) / 1024).astype(np.float32)
    t[0, 2 * group_size:3 * group_size] = 0
    if whole:
        scales[:] = scales[0, 0]
    return t, scales


def values(t, scales, group_size=128):
    return (t * np.repeat(scales, group_size, axis=1)[:, :t.shape[1]]).astype(np.float32)


def names(encodings):
    return [claims.NAMES[encoding] for encoding in encodings]


# ---- every source to every target --------------------------------------------------------

@pytest.mark.parametrize("target", PACKED, ids=names(PACKED))
@pytest.mark.parametrize("source", PACKED, ids=names(PACKED))
def test_every_packing_becomes_every_other(daemon, random, source, target):
    """The tensor has one scale, which every encoding can hold."""
    for group_size in (64, 128, 256):
        if 256 in (group_size,) and claims.MLX_2BIT in (source, target):
            continue
        if claims.TQ1_0 in (source, target) or claims.TQ2_0 in (source, target):
            shape = (8, 768)
        else:
            shape = (8, 384) if group_size < 256 else (8, 512)
        whole = source in claims.WHOLE and target in claims.WHOLE
        t, scales = trits(random, shape, group_size, whole=True)
        data, beside = packings.encode(source, t, scales, group_size)
        made = pack(daemon, data, shape, source, target, 0 if whole else group_size, beside)
        expected = packings.encode(target, t, scales, group_size)
        assert (made.data, made.scales) == expected, group_size
        assert made.encoding == target and list(made.shape) == list(shape)
        assert made.dtype == (tensor_pb2.DTYPE_I8 if target == claims.INT8 else
                              tensor_pb2.DTYPE_U8)
        assert made.report.is_ternary and made.report.positives == (t == 1).sum()
        assert made.report.negatives == (t == -1).sum()


GROUPED = [(claims.INT8, 128), (claims.INT8, 64), (claims.PQ2_0, 128), (claims.PQ2_0, 256),
           (claims.Q2_0, 64), (claims.Q2_0, 128), (claims.PTQ1_0, 128), (claims.TQ1_0, 256),
           (claims.TQ2_0, 256), (claims.MLX_2BIT, 64), (claims.MLX_2BIT, 128)]
GROUPED_IDS = [f"{claims.NAMES[encoding]}-{size}" for encoding, size in GROUPED]


@pytest.mark.parametrize("source, held", GROUPED, ids=GROUPED_IDS)
def test_scales_of_groups_are_kept(daemon, random, source, held):
    """Packs into every encoding that supports the group size, and back to dense."""
    t, scales = trits(random, (6, 768), held)
    data, beside = packings.encode(source, t, scales, held)
    for target in range(1, 8):
        if packings.BLOCKS.get(target, 1) > held or (target == claims.MLX_2BIT and held > 128):
            continue
        ask = dict(group_size=held, scales=beside)
        made = pack(daemon, data, t.shape, source, target, **ask)
        assert (made.data, made.scales) == packings.encode(target, t, scales, held), target
        assert pack_stream(daemon, data, t.shape, source, target, **ask)[:2] == (
            made.data, made.scales)
        dense = unpack(daemon, made.data, t.shape, target, held, made.scales)
        assert (np.frombuffer(dense, "<f4").reshape(t.shape) == values(t, scales, held)).all()
        of_source = claims.verify(daemon, data, t.shape, encoding=source, scales=beside,
                                  group_size=held)
        of_target = claims.verify(daemon, made.data, t.shape, encoding=target,
                                  scales=made.scales, group_size=held)
        assert made.report.digest == of_source.digest == of_target.digest
        assert made.report.zero_groups == of_source.zero_groups > 0
        assert (made.report.groups, made.report.group_size) == (scales.size, held)
        assert made.report.scale_mean == of_source.scale_mean


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", PACKED, ids=names(PACKED))
def test_a_dense_tensor_is_packed(daemon, random, target, dtype):
    kind = DTYPES[dtype]
    sizes = {claims.TQ1_0: [256], claims.TQ2_0: [256], claims.PQ2_0: [128, 256],
             claims.PTQ1_0: [128, 256], claims.MLX_2BIT: [64, 128], claims.I2_S: [0],
             claims.HF_BITNET: [0]}.get(target, [64, 128, 256])
    for size in sizes:
        t, scales = trits(random, (8, 768), size or 128, whole=size == 0)
        scales = ref.widen(ref.narrow(scales, kind), kind).reshape(scales.shape)
        data = ref.narrow(values(t, scales, size or 128), kind)
        scales = np.where(size == 0, scales, scales)
        if size:  # an all-zero group has scale 0
            zero = (t.reshape(8, -1, size) == 0).all(axis=2)
            scales = np.where(zero, np.float32(0), scales)
        made = pack(daemon, data, t.shape, claims.DENSE, target, size, dtype=kind)
        assert (made.data, made.scales) == packings.encode(target, t, scales, size or 128)
        assert unpack(daemon, made.data, t.shape, target, size, made.scales, kind) == data
        if target not in claims.WHOLE:
            report = claims.verify(daemon, data, t.shape, dtype=kind, group_size=size)
            assert made.report.digest == report.digest


def test_a_dense_projection_keeps_its_trits_and_scales(daemon, random):
    weight = (random.standard_normal((16, 512)) * 0.02).astype(np.float32)
    made = claims.project(daemon, weight, ref.F16)
    packed = pack(daemon, made.data, weight.shape, claims.DENSE, claims.PQ2_0, dtype=ref.F16)
    rounded = ref.widen(ref.narrow(weight, ref.F16), ref.F16).reshape(weight.shape)
    codes, scales = ref.project(rounded)
    assert packed.data == ref.pq2_0(codes, scales)
    assert packed.report.digest == made.report.digest


@pytest.mark.parametrize("columns", [6, 130, 700])
def test_rows_of_any_length_and_a_short_last_group(daemon, random, columns):
    t, scales = trits(random, (8, columns), 64, whole=True)
    data, beside = packings.encode(claims.HF_BITNET, t, scales)
    made = pack(daemon, data, t.shape, claims.HF_BITNET, claims.INT8, 64, beside)
    assert made.data == t.tobytes() and made.scales == scales.tobytes()
    back = pack(daemon, made.data, t.shape, claims.INT8, claims.HF_BITNET, 64, made.scales)
    assert (back.data, back.scales) == (data, beside)


# ---- chunks and streams ------------------------------------------------------------------

@pytest.mark.parametrize("chunk", [997, 65536, 1 << 20])
@pytest.mark.parametrize("source, target, size", [
    (claims.DENSE, claims.PQ2_0, 128), (claims.INT8, claims.TQ2_0, 256),
    (claims.TQ1_0, claims.MLX_2BIT, 64), (claims.Q2_0, claims.PTQ1_0, 128),
    (claims.PQ2_0, claims.INT8, 384)])
def test_a_stream_gives_the_bytes_of_a_unary_call(daemon, random, source, target, size, chunk):
    block = max(packings.BLOCKS.get(source, 1), packings.BLOCKS.get(target, 1), size)
    t, coarse = trits(random, (64, 3072), block)
    scales = np.repeat(coarse, block // size, axis=1)
    data, beside = (values(t, scales, size).tobytes(), b"") if source == claims.DENSE else \
        packings.encode(source, t, scales, size)
    made = pack(daemon, data, t.shape, source, target, size, beside)
    streamed = pack_stream(daemon, data, t.shape, source, target, size, beside, chunk=chunk)
    assert streamed[:2] == (made.data, made.scales)
    assert streamed[2].digest == made.report.digest
    assert (streamed[2].zero_groups, streamed[2].scale_min) == (made.report.zero_groups,
                                                                made.report.scale_min)
    if source != claims.DENSE:
        assert (made.data, made.scales) == packings.encode(target, t, scales, size)


@pytest.mark.parametrize("isa", ["portable", "auto"])
@pytest.mark.parametrize("threads", [1, 4])
def test_every_isa_and_thread_count_gives_the_same_bytes(start, random, isa, threads):
    machine = start("--isa", isa, "--threads", threads)
    t, scales = trits(random, (256, 1536), 256)
    for target in range(1, 7):
        dense = values(t, scales, 256).tobytes()
        expected = packings.encode(target, t, np.where(t.reshape(256, 6, 256).any(axis=2), scales,
                                                       np.float32(0)), 256)
        assert pack_stream(machine, dense, t.shape, claims.DENSE, target, 256,
                           chunk=65535)[:2] == expected
        data, beside = packings.encode(claims.TQ1_0, t, scales, 256)
        made = pack(machine, data, t.shape, claims.TQ1_0, target, 256, beside)
        assert (made.data, made.scales) == packings.encode(target, t, scales, 256)


def test_a_late_misfit_is_named_by_its_index_in_the_tensor(daemon, random):
    t, scales = trits(random, (256, 1536))
    dense = values(t, scales)
    dense[200, 1300] = 3.5
    refused(lambda: pack_stream(daemon, dense.tobytes(), t.shape, claims.DENSE, claims.INT8,
                                chunk=60000), INVALID,
            f"chunk.data: group {200 * 12 + 10} (elements {200 * 1536 + 1280} to "
            f"{200 * 1536 + 1407}, row 200)", "3.5")


# ---- reports -----------------------------------------------------------------------------

def test_no_report_if_none_is_asked_for(daemon, random):
    t, scales = trits(random, (4, 384))
    data, _ = packings.encode(claims.PQ2_0, t, scales)
    bare = ternary_pb2.ProjectOptions(report=2).report
    made = pack(daemon, data, t.shape, claims.PQ2_0, claims.INT8, report=bare)
    assert not made.HasField("report")
    assert (made.data, made.scales) == packings.encode(claims.INT8, t, scales)


def test_the_findings_are_those_of_a_verification_of_the_source(daemon, random):
    t, scales = trits(random, (4, 512), 256)
    scales[2, 1] = 2.0 ** -20
    data = bytearray(packings.encode(claims.TQ1_0, t, scales, 256)[0])
    data[54 * 2] += 1 if data[54 * 2] < 255 else -1  # decodes to the same digits, or others
    of_source = claims.verify(daemon, bytes(data), t.shape, encoding=claims.TQ1_0, group_size=256)
    for size in (256, 128):
        made = pack(daemon, bytes(data), t.shape, claims.TQ1_0, claims.INT8, size)
        assert claims.kinds(made.report) == claims.kinds(of_source) >= {"scale_subnormal"}
        if size == 256:
            assert list(made.report.findings) == list(of_source.findings)


def test_a_report_is_filed(daemon, random, run):
    from tritd import report_pb2
    t, scales = trits(random, (4, 384))
    data, _ = packings.encode(claims.PQ2_0, t, scales)
    layer = tensor_pb2.LayerRef(run=run, layer="l", step=3)
    made = pack(daemon, data, t.shape, claims.PQ2_0, claims.INT8, layer=layer)
    got = daemon.reports.Get(report_pb2.ReportsGetRequest(run=run, layer="l", step=3),
                             timeout=CALL_SECONDS).report
    assert got.digest == made.report.digest and got.is_ternary
    # An equal question with an equal answer is accepted.
    again = pack(daemon, data, t.shape, claims.PQ2_0, claims.Q2_0, layer=layer)
    assert again.report.digest == made.report.digest


# ---- what does not fit -------------------------------------------------------------------

def test_a_dense_group_with_two_magnitudes_is_refused(daemon, random):
    t, scales = trits(random, (4, 256))
    t[3, 128], t[3, 200] = 1, -1
    dense = values(t, scales)
    dense[3, 200] = -0.123
    refused(lambda: pack(daemon, dense.tobytes(), t.shape, claims.DENSE, claims.PQ2_0), INVALID,
            "tensor.data: group 7 (elements 896 to 1023, row 3) is not ternary", "magnitudes",
            "0.123", "options.group_size")
    dense[3, 200] = np.nextafter(dense[3, 128], np.float32(9))
    refused(lambda: pack(daemon, dense.tobytes(), t.shape, claims.DENSE, claims.PQ2_0), INVALID,
            "group 7")
    dense[2, 5] = np.nan
    refused(lambda: pack(daemon, dense.tobytes(), t.shape, claims.DENSE, claims.PQ2_0), INVALID,
            "group 4", "element 517 is nan")
    # A larger group than that of the tensor.
    dense = values(*trits(random, (4, 256)))
    refused(lambda: pack(daemon, dense.tobytes(), t.shape, claims.DENSE, claims.INT8, 256),
            INVALID, "group", "options.group_size")


@pytest.mark.parametrize("source", [claims.INT8, claims.PQ2_0, claims.Q2_0, claims.TQ2_0,
                                    claims.MLX_2BIT, claims.I2_S, claims.HF_BITNET],
                         ids=claims.NAMES.__getitem__)
def test_a_code_out_of_range_is_refused(daemon, random, source):
    t, scales = trits(random, (4, 256), whole=True)
    t[3, 130] = 2
    data, beside = packings.encode(source, t, scales)
    refused(lambda: pack(daemon, data, t.shape, source, claims.PTQ1_0, 128, beside), INVALID,
            "element 898", "not -1, 0 or +1")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5, 0])
@pytest.mark.parametrize("source", [claims.INT8, claims.PQ2_0, claims.TQ1_0],
                         ids=claims.NAMES.__getitem__)
def test_an_invalid_scale_is_refused(daemon, random, source, bad):
    t, scales = trits(random, (4, 256), 256)
    scales[2, 0] = bad
    data, beside = packings.encode(source, t, scales, 256)
    refused(lambda: pack(daemon, data, t.shape, source, claims.INT8, 256, beside,
                         allow_rounded_scales=True), INVALID,
            "group 2 (elements 512 to 767, row 2) has the scale", "nonzero" if bad == 0 else
            "finite and positive")


def test_a_target_group_needs_one_scale(daemon, random):
    t, scales = trits(random, (4, 512))
    scales[:, 1::2] = scales[:, ::2]
    data, beside = packings.encode(claims.INT8, t, scales)
    made = pack(daemon, data, t.shape, claims.INT8, claims.TQ2_0, 128, beside)
    assert (made.data, made.scales) == packings.encode(claims.TQ2_0, t, scales)
    # Group 2 is all zero and fits any scale; other groups do not.
    scales[0, 2] = 7
    data, beside = packings.encode(claims.INT8, t, scales)
    assert pack(daemon, data, t.shape, claims.INT8, claims.TQ2_0, 128, beside).data == made.data
    scales[1, 1] = 0.75
    scales[1, 0] = 0.5
    data, beside = packings.encode(claims.INT8, t, scales)
    words = ["tensor.data: group 5 (elements 640 to 767, row 1)", "0.5", "0.75"]
    refused(lambda: pack(daemon, data, t.shape, claims.INT8, claims.TQ2_0, 128, beside), INVALID,
            *words, "tq2_0")
    data, _ = packings.encode(claims.PQ2_0, t, scales)
    refused(lambda: pack(daemon, data, t.shape, claims.PQ2_0, claims.TQ1_0, 128), INVALID, *words)
    refused(lambda: pack(daemon, data, t.shape, claims.PQ2_0, claims.INT8, 256), INVALID,
            "has pq2_0 blocks of 128 weights with the scales", "0.5", "0.75", "use group_size 128")
    data, _ = packings.encode(claims.PQ2_0, t, scales)
    refused(lambda: pack(daemon, data, t.shape, claims.PQ2_0, claims.I2_S), INVALID, "i2_s",
            "one scale")


@pytest.mark.parametrize("target", [claims.PQ2_0, claims.Q2_0, claims.PTQ1_0, claims.TQ1_0,
                                    claims.TQ2_0, claims.MLX_2BIT], ids=claims.NAMES.__getitem__)
def test_a_scale_that_f16_does_not_hold(daemon, random, target):
    t, scales = trits(random, (4, 512))
    scales[2] = np.float32(0.1)
    data, beside = packings.encode(claims.INT8, t, np.repeat(scales[:, :1], 4, axis=1))
    ask = (daemon, data, t.shape, claims.INT8, target, 128, beside)
    refused(lambda: pack(*ask), INVALID, "tensor.data: group 8" if target not in
            (claims.TQ1_0, claims.TQ2_0) else "tensor.data: group 9", "0.1", "f16",
            "options.allow_rounded_scales")
    made = pack(*ask, allow_rounded_scales=True)
    assert (made.data, made.scales) == packings.encode(target, t, np.repeat(scales[:, :1], 4,
                                                                            axis=1))
    note = claims.findings(made.report)["scale_rounded"]
    assert (note.group, note.count, note.severity) == (8, 4, "note")
    assert made.report.is_ternary
    lost = scales[:, :1].repeat(4, axis=1)
    for scale in (1e-9, 1e9):
        lost[1] = scale
        data, beside = packings.encode(claims.INT8, t, lost)
        refused(lambda: pack(daemon, data, t.shape, claims.INT8, target, 128, beside,
                             allow_rounded_scales=True), INVALID, "group", "0 or infinity")


def test_narrow_scales_of_the_source(daemon, random):
    t, scales = trits(random, (4, 512))
    for kind in (ref.F16, ref.BF16):
        narrow = ref.narrow(scales, kind)
        held = ref.widen(narrow, kind).reshape(scales.shape)
        made = pack(daemon, t.tobytes(), t.shape, claims.INT8, claims.PQ2_0, 128, narrow,
                    scales_dtype=kind)
        assert made.data == packings.encode(claims.PQ2_0, t, held)[0]


@pytest.mark.parametrize("fields, words", [
    (dict(target=claims.DENSE), ["options.encoding", "Unpack"]),
    (dict(target=17), ["options.encoding", 17]),
    (dict(source=17), ["options.source_encoding", 17]),
    (dict(target=claims.I2_S, source=claims.I2_S, group_size=128), ["options.group_size", 128]),
    (dict(target=claims.MLX_2BIT, group_size=256), ["options.group_size", 256]),
    (dict(group_size=1 << 17), ["options.group_size"]),
    (dict(group_size=2), ["options.group_size", 2, "multiple of 4"]),
    (dict(group_size=96), ["options.group_size", 96]),
    (dict(scales_dtype=ref.F16), ["options.scales_dtype"]),
    (dict(report=9), ["options.report"])], ids=str)
def test_options_that_are_refused(daemon, random, fields, words):
    t, scales = trits(random, (4, 384))
    data, _ = packings.encode(claims.PQ2_0, t, scales)
    ask = dict(source=claims.PQ2_0, target=claims.INT8, group_size=128) | fields
    refused(lambda: pack(daemon, data, t.shape, **ask), INVALID, *words)
