# SPDX-License-Identifier: Apache-2.0
"""PackStream of tensors with one scale, as source or as output. The bytes are those of NumPy,
the report is that of a unary call."""
import grpc
import numpy as np
import pytest

import claims
import packings
import reference as ref
from claims import DENSE, HF_BITNET, I2_S, INT8, MLX_2BIT, PQ2_0, TQ1_0
from test_pack import DTYPES, pack, pack_stream, trits, values
from tritd import refused, tensor_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
CHUNKS = pytest.mark.parametrize("chunk", [997, 1 << 20])
PAIRS = [(source, target) for source in range(10) for target in range(1, 10)
         if source in claims.WHOLE or target in claims.WHOLE]


def same(streamed, made):
    assert (streamed[0], streamed[1]) == (made.data, made.scales)
    for report in (streamed[2], made.report):
        report.ClearField("time_unix_ns")
    assert streamed[2] == made.report


def sizes(source, target):
    """Group sizes that both encodings support, 0 where the tensor is one group."""
    grouped = [encoding for encoding in (source, target)
               if encoding not in claims.WHOLE and encoding != DENSE]
    if not grouped:
        return [0] if target in claims.WHOLE else [64, 128]
    return [128] if MLX_2BIT in grouped else [256] if TQ1_0 in grouped else [128, 256]


@CHUNKS
@pytest.mark.parametrize("source, target", PAIRS, ids=[
    f"{claims.NAMES[source]}-{claims.NAMES[target]}" for source, target in PAIRS])
def test_a_stream_gives_what_one_message_gives(daemon, random, source, target, chunk):
    for size in sizes(source, target):
        t, scales = trits(random, (64, 3072), size or 128, whole=True)
        t[:3] = 0  # the first piece has no scale of its own
        data, beside = (values(t, scales, size or 128).tobytes(), b"") if source == DENSE else \
            packings.encode(source, t, scales, size or 128)
        made = pack(daemon, data, t.shape, source, target, size, beside)
        same(pack_stream(daemon, data, t.shape, source, target, size, beside, chunk=chunk), made)
        if source != DENSE:
            assert (made.data, made.scales) == packings.encode(target, t, scales, size or 128)


@pytest.mark.parametrize("shape", [(8, 6), (12, 130), (1024, 250), (4, 40004)], ids=str)
def test_rows_of_any_length(daemon, random, shape):
    """Groups and tiles begin anywhere in a byte."""
    t, scales = trits(random, shape, 64, whole=True)
    data, beside = packings.encode(HF_BITNET, t, scales)
    for size in (64, 6):
        many = np.full((shape[0], -(-shape[1] // size)), scales[0, 0])
        out = pack_stream(daemon, data, shape, HF_BITNET, INT8, size, beside)
        assert out[:2] == (t.tobytes(), many.tobytes())
        back = pack_stream(daemon, out[0], shape, INT8, HF_BITNET, size, out[1])
        assert back[:2] == (data, beside)
    for kind in DTYPES.values():
        dense = ref.narrow(values(t, scales, 64), kind)
        same(pack_stream(daemon, dense, shape, DENSE, HF_BITNET, dtype=kind),
             pack(daemon, dense, shape, DENSE, HF_BITNET, dtype=kind))


def test_rows_that_do_not_end_with_a_block_of_i2_s(daemon, random):
    """Tiles of the output begin within a block of the source."""
    t, scales = trits(random, (128, 1028), 64, whole=True)
    data, _ = packings.encode(I2_S, t, scales)
    out = pack_stream(daemon, data, t.shape, I2_S, INT8, 64)
    assert out[:2] == (t.tobytes(), scales.tobytes())
    assert pack_stream(daemon, *out[:1], t.shape, INT8, I2_S, 64, out[1])[0] == data


@pytest.mark.parametrize("target", claims.WHOLE, ids=claims.NAMES.__getitem__)
def test_zeros_fit(daemon, target):
    """A tensor of zeros, dense and packed."""
    t, scales = np.zeros((128, 1024), np.int8), np.full((128, 8), np.float32(.25))
    for source, size in ((DENSE, 0), (PQ2_0, 128)):
        data = bytes(4 * t.size) if source == DENSE else packings.encode(source, t, scales)[0]
        same(pack_stream(daemon, data, t.shape, source, target, size),
             pack(daemon, data, t.shape, source, target, size))


def refused_alike(daemon, data, shape, source, target, size=0, beside=b"", words=()):
    """The stream is refused with the words of a unary call, but for the name of the field."""
    for call, field in ((pack, "tensor.data: "), (pack_stream, "chunk.data: ")):
        refused(lambda: call(daemon, data, shape, source, target, size, beside), INVALID,
                field, *words)


def test_what_does_not_fit(daemon, random):
    """The first group is named whose scale differs, or that is not ternary, in whichever piece
    it is."""
    t, scales = trits(random, (256, 1536), whole=True)
    scales[200, 7], scales[250, 3] = 7, 9
    first = 200 * 12 + 7
    for source in (INT8, PQ2_0):
        data, beside = packings.encode(source, t, scales)
        refused_alike(daemon, data, t.shape, source, HF_BITNET, 128, beside, [
            f"group {first} (elements {first * 128} to {first * 128 + 127}, row 200)",
            "needs one scale in hf_bitnet", f"{scales[0, 0]:.9g} and 7"])
    dense = values(t, scales)
    at = np.flatnonzero(np.abs(dense) == 7)[0]
    refused_alike(daemon, dense.tobytes(), t.shape, DENSE, I2_S, words=[
        "group 0 (elements 0 to 393215, rows 0 to 255)",
        f"magnitudes {scales[0, 0]:.9g} and 7, which element {at} is the first to have"])
    pair = np.where(np.arange(dense.size) < 3 << 16, np.float32(.5), np.float32(2))
    pair[3 << 16] = 0  # a piece has one magnitude, but not that of those before
    refused_alike(daemon, pair.tobytes(), t.shape, DENSE, I2_S, words=[
        f"0.5 and 2, which element {(3 << 16) + 1} is the first to have"])
    dense[2, 3] = np.nan
    refused_alike(daemon, dense.tobytes(), t.shape, DENSE, I2_S, words=[
        f"element {2 * 1536 + 3} is nan"])
    t[130, 9] = 2
    for source, target in ((HF_BITNET, INT8), (I2_S, PQ2_0), (INT8, I2_S), (HF_BITNET, I2_S)):
        both = source in claims.WHOLE and target in claims.WHOLE
        scales[:] = .5
        data, beside = packings.encode(source, t, scales)
        refused_alike(daemon, data, t.shape, source, target, 0 if both else 128, beside,
                      [f"the code of element {130 * 1536 + 9} is not -1, 0 or +1"])
    for source in claims.WHOLE:
        scales[:] = -1
        data, beside = packings.encode(source, t, scales)
        refused_alike(daemon, data, t.shape, source, INT8, 128, beside, [
            "group 0", "has the scale -1; it must be finite and positive"])


def test_a_scale_that_f16_does_not_hold(daemon, random):
    t, scales = trits(random, (64, 3072), whole=True)
    scales[:] = np.float32(.1)
    data, beside = packings.encode(HF_BITNET, t, scales)
    ask = (daemon, data, t.shape, HF_BITNET, PQ2_0, 128, beside)
    refused(lambda: pack_stream(*ask), INVALID, "group 0", "0.1", "options.allow_rounded_scales")
    same(pack_stream(*ask, allow_rounded_scales=True), pack(*ask, allow_rounded_scales=True))


def test_a_report_is_filed(daemon, random, run):
    """The daemon would refuse a report that differs from the stored one."""
    t, scales = trits(random, (64, 3072), whole=True)
    for step, (source, target) in enumerate(((INT8, HF_BITNET), (HF_BITNET, INT8), (DENSE, I2_S))):
        size = 0 if source == DENSE else 128
        data, beside = (values(t, scales).tobytes(), b"") if source == DENSE else \
            packings.encode(source, t, scales)
        ask = (daemon, data, t.shape, source, target, size, beside)
        layer = tensor_pb2.LayerRef(run=run, layer=f"l{step}", step=1)
        one = pack(*ask, layer=layer)
        assert pack_stream(*ask, layer=layer)[2].digest == one.report.digest
        layer.step = 2
        assert pack_stream(*ask, layer=layer)[2].flips == 0


def test_memory_is_that_of_the_codes(start, random):
    """Of 2^24 weights the daemon keeps 2 bits each, of source and output; 64 MiB of dense
    weights go in, and 16 MiB of int8 come out. One message of as many is refused."""
    own = start("--memory-max", "32M")
    t = np.zeros((4096, 4096), np.int8)
    t[:, :64] = random.integers(-1, 2, (4096, 64))
    scales = np.full((4096, 32), np.float32(.25))
    data, beside = packings.encode(HF_BITNET, t, scales)
    dense = values(t, scales).tobytes()
    made = pack_stream(own, dense, t.shape, DENSE, HF_BITNET, chunk=1 << 20)
    assert made[:2] == (data, beside)
    del dense
    out = pack_stream(own, data, t.shape, HF_BITNET, INT8, 128, beside, chunk=1 << 20)
    assert out[:2] == (t.tobytes(), scales.tobytes())
    refused(lambda: pack(own, *out[:1], t.shape, INT8, HF_BITNET, 128, out[1]),
            grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert own.stop() == 0
