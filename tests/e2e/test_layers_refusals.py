# SPDX-License-Identifier: Apache-2.0
"""Each kind of wrong request to the Layers service, with its status and message."""
import grpc
import numpy as np
import pytest

import reference as ref
from held import (EMBEDDING, EXHAUSTED, F32, INVALID, LATENTS, NOT_FOUND, PRECONDITION, array,
                  load, normal, spec)
from test_layers_load import load_messages, load_stream
from tritd import refused, tensor_pb2

from trit.v1 import layers_pb2

ROWS = np.ones((2, 64), np.float32)
CREATES = {
    "no name": (dict(name=""), ["name"]),
    "a control character": (dict(name="a\nb"), ["name", "control"]),
    "a name too long for a file": (dict(name="/" * 90), ["name"]),
    "an unknown kind": (dict(kind=9), ["kind", 9]),
    "no in_features": (dict(in_features=0), ["in_features", 0]),
    "no out_features": (dict(out_features=0), ["out_features", 0]),
    "too many weights": (dict(in_features=1 << 40, out_features=1 << 40),
                         ["out_features", 1 << 40]),
    "an embedding with bias": (dict(kind=EMBEDDING, bias=True), ["bias"]),
    "a group size of 24": (dict(group_size=24), ["group_size", 24]),
    "a group size above the bound": (dict(group_size=65552), ["group_size", 65552]),
}


@pytest.mark.parametrize("wrong", CREATES)
def test_create_refuses(layers, name, wrong):
    """Create refuses a bad spec, with its field in the message."""
    fields, words = CREATES[wrong]
    fields = {**dict(name=name, in_features=64, out_features=2), **fields}
    refused(lambda: layers.Create(spec=layers_pb2.LayerSpec(**fields)), INVALID, *words)


def test_create_takes_a_name_of_255_bytes_and_no_more(layers):
    layers.Create(spec=spec("n" * 255, 2, 16))
    refused(lambda: layers.Create(spec=spec("n" * 256, 2, 16)), INVALID, "name", 255)


def test_create_refuses_a_layer_that_no_memory_holds(layers, name):
    refused(lambda: layers.Create(spec=spec(name, 1 << 24, 1 << 24)), EXHAUSTED, "budget")
    refused(lambda: layers.Get(name=name), NOT_FOUND)


def tensor(shape, dtype=F32, count=None):
    """Zeros, `count` bytes of them."""
    count = int(np.prod(shape)) * ref.WIDTH.get(dtype, 1) if count is None else count
    return tensor_pb2.Tensor(dtype=dtype, shape=shape, data=bytes(count))


LOADS = {
    "another shape": (dict(weight=tensor([2, 65])), ["weight.shape", 65, 64]),
    "another rank": (dict(weight=tensor([128])), ["weight.shape", 128]),
    "no weight": (dict(), ["weight"]),
    "a dtype of codes": (dict(weight=tensor([2, 64], tensor_pb2.DTYPE_I8)), ["weight.dtype", 4]),
    "too few bytes": (dict(weight=tensor([2, 64], count=508)), ["weight.data", 508, 512]),
    "a bias that the spec has not": (dict(weight=tensor([2, 64]), bias=tensor([2])), ["bias"]),
}


@pytest.mark.parametrize("wrong", LOADS)
def test_load_refuses(layers, name, wrong):
    """Load refuses a weight or bias that does not fit the spec, and leaves no layer."""
    fields, words = LOADS[wrong]
    refused(lambda: layers.Load(spec=spec(name, 2, 64), **fields), INVALID, *words)
    refused(lambda: layers.Get(name=name), NOT_FOUND)


@pytest.mark.parametrize("bias", [None, tensor([3]), tensor([1, 2]), tensor([2], count=4)],
                         ids=["missing", "long", "of rank 2", "short"])
def test_load_refuses_a_bias_that_is(layers, name, bias):
    """Load refuses a missing bias and one of another shape."""
    refused(lambda: layers.Load(spec=spec(name, 2, 64, bias=True), weight=tensor([2, 64]),
                                bias=bias), INVALID, "bias")
    refused(lambda: layers.Get(name=name), NOT_FOUND)


def test_load_names_count_and_first_index_of_non_finite_values(layers, name, random):
    weight = normal(random, 300, 700)
    weight.reshape(-1)[[123456, 123457, 209999]] = np.nan
    refused(lambda: load(layers, name, weight), INVALID, 3, 123456)
    load(layers, name, np.nan_to_num(weight))


def test_latents_that_were_not_kept_cannot_be_read(layers, name, random):
    load(layers, name, normal(random, 2, 64))
    refused(lambda: layers.Get(name=name, part=LATENTS), PRECONDITION, "keep_latents")


@pytest.mark.parametrize("shape", [[2], [1, 2, 64], [2, 64, 1], [64, 2]], ids=str)
def test_load_refuses_a_weight_of_the_shape(layers, name, shape):
    """Load refuses a weight whose shape is not that of the spec."""
    refused(lambda: layers.Load(spec=spec(name, 2, 64), weight=tensor(shape)), INVALID,
            "weight.shape", f"rank {len(shape)}")


XS = {
    "rank 9": (tensor([1] * 8 + [64]), ["x.shape", 8]),
    "another last axis": (tensor([3, 63]), ["x.shape", 63, 64]),
    "rank 0": (tensor([], count=4), ["x.shape", "rank 0"]),
    "an axis of 0": (tensor([0, 64]), ["x.shape", 0]),
    "a shape that overflows": (tensor([1 << 40, 1 << 40, 64], count=4), ["x.shape", 1 << 40]),
    "too many bytes": (tensor([1, 64], count=260), ["x.data", 260, 256]),
    "a dtype of codes": (tensor([1, 64], tensor_pb2.DTYPE_U8), ["x.dtype", 5]),
    "nothing": (None, ["x.dtype"]),
}


@pytest.mark.parametrize("wrong", XS)
def test_products_refuse_an_x_of(layers, name, wrong):
    """Forward, AsLinear and Backward refuse a bad x, with its field and value in the message."""
    x, words = XS[wrong]
    load(layers, name, ROWS)
    load(layers, name + "e", ROWS, kind=EMBEDDING)
    refused(lambda: layers.Forward(name=name, x=x), INVALID, *words)
    refused(lambda: layers.AsLinear(name=name + "e", x=x), INVALID, *words)
    refused(lambda: layers.Backward(name=name, x=x, grad_output=tensor([1, 2])), INVALID, *words)


def test_forward_refuses_unknown_activations_and_int8_of_nan(layers, name):
    load(layers, name, ROWS)
    refused(lambda: layers.Forward(name=name, activations=5, x=tensor([1, 64])), INVALID,
            "activations", 5)
    x = np.ones((3, 64), np.float32)
    x[1, 7] = np.nan
    refused(lambda: layers.Forward(name=name, activations=1, x=ref.tensor(x)), INVALID, "x", 1)
    assert np.isnan(array(layers.Forward(name=name, x=ref.tensor(x)).y)[1]).all()


def test_backward_refuses_gradients_that_do_not_match(layers, name):
    load(layers, name, ROWS)
    for grad, words in [(tensor([4, 2]), ["grad_output.shape", 4, 3]),
                        (tensor([1, 3, 2]), ["grad_output.shape"]),
                        (tensor([3, 64]), ["grad_output.shape", 64, 2]), (None, ["grad_output"])]:
        refused(lambda: layers.Backward(name=name, x=tensor([3, 64]), grad_output=grad), INVALID,
                *words)


def test_embed_names_the_id_that_is_out_of_range(layers, name):
    load(layers, name, ROWS, kind=EMBEDDING)
    refused(lambda: layers.Embed(name=name, ids=[0, 1, 2]), INVALID, "ids", 2, "index 2")
    refused(lambda: layers.Embed(name=name, ids=[1, 4294967295]), INVALID, 4294967295)
    refused(lambda: layers.Embed(name=name), INVALID, "ids")
    ids = [i % 2 for i in range(200000)]  # more than the small fields of a message may hold
    assert array(layers.Embed(name=name, ids=ids).rows).shape == (200000, 64)


def test_a_layer_of_the_other_kind_is_refused(layers, name):
    load(layers, name, ROWS)
    load(layers, name + "e", ROWS, kind=EMBEDDING)
    refused(lambda: layers.Embed(name=name, ids=[0]), PRECONDITION, name)
    refused(lambda: layers.AsLinear(name=name, x=tensor([1, 64])), PRECONDITION, name)
    refused(lambda: layers.Forward(name=name + "e", x=tensor([1, 64])), PRECONDITION, name)


def test_unknown_names_are_not_found(layers, name):
    for call in (lambda: layers.Get(name=name), lambda: layers.Embed(name=name, ids=[0]),
                 lambda: layers.AsLinear(name=name, x=tensor([1, 64])),
                 lambda: layers.Backward(name=name, x=tensor([1]), grad_output=tensor([1]))):
        refused(call, NOT_FOUND, name)
    assert not layers.Verify(prefix=name).reports


def test_an_empty_name_is_refused(layers):
    x = tensor([1, 64])
    for call in (lambda: layers.Get(), lambda: layers.Delete(), lambda: layers.Embed(ids=[0]),
                 lambda: layers.Forward(x=x), lambda: layers.AsLinear(x=x),
                 lambda: layers.Backward(x=x, grad_output=x), lambda: layers.Create(),
                 lambda: layers.Load(weight=x)):
        refused(call, INVALID, "name", "empty")


def test_every_call_that_creates_a_layer_refuses_a_used_name(layers, name):
    load(layers, name, ROWS)
    before = layers.Get(name=name)
    for call in (lambda: layers.Create(spec=spec(name, 2, 64)),
                 lambda: load(layers, name, -ROWS),
                 lambda: load_stream(layers, load_messages(name, -ROWS, 512))):
        refused(call, grpc.StatusCode.ALREADY_EXISTS, "spec.name", name)
    assert layers.Get(name=name) == before


def test_get_refuses_unsupported_encodings_and_parts(layers, name):
    load(layers, name, np.ones((2, 200), np.float32))
    for fields, words in [(dict(encoding=77), ["encoding", 77]), (dict(part=3), ["part", 3]),
                          (dict(dtype=tensor_pb2.DTYPE_I8), ["dtype", 4]),
                          (dict(encoding=tensor_pb2.ENCODING_PQ2_0), [200, 128])]:
        refused(lambda: layers.Get(name=name, **fields), INVALID, *words)


def test_verify_refuses_a_wrong_tolerance(layers):
    refused(lambda: layers.Verify(tolerance=0.6), INVALID, "tolerance", 0.6)


def test_a_reply_above_the_message_limit_is_refused(layers, name):
    layers.Create(spec=spec(name, 1 << 20, 16))
    refused(lambda: layers.Forward(name=name, x=tensor([300, 16])), EXHAUSTED,
            "message_bytes_max")
