# SPDX-License-Identifier: Apache-2.0
"""Products with held layers, compared with MLX, NumPy and each other."""
import numpy as np
import pytest

import reference as ref
from held import (BF16, EMBEDDING, F16, F32, INT8, LATENTS, Service, array, close, golden, load,
                  normal, spec, ternary)


# ---- golden ---------------------------------------------------------------------


@pytest.mark.parametrize("case", ["linear_256_96", "linear_200_40"])
def test_linear_layers_do_what_the_mlx_layers_do(layers, name, case):
    case = golden(case)
    weight, x, g = case["weight"], case["x"], case["grad_output"]
    load(layers, name, weight, case.get("bias"))
    y = array(layers.Forward(name=name, x=ref.tensor(x)).y)
    close(y, x.astype(np.float64) @ ternary(weight).T + case.get("bias", 0))
    close(y, case["y"])
    grads = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    close(array(grads.grad_input), case["grad_input"])
    close(array(grads.grad_input), g.astype(np.float64) @ ternary(weight))
    close(array(grads.grad_weight), case["grad_weight"])
    assert grads.HasField("grad_bias") == ("bias" in case)
    if "bias" in case:
        close(array(grads.grad_bias), g.astype(np.float64).sum(axis=0))


def test_embeddings_do_what_the_mlx_embeddings_do(layers, name):
    case = golden("embedding_50_192")
    weight = case["weight"]
    load(layers, name, weight, kind=EMBEDDING)
    rows = layers.Embed(name=name, ids=case["ids"].tolist()).rows
    assert (array(rows) == ternary(weight).astype(np.float32)[case["ids"]]).all()
    close(array(rows), case["rows"])
    logits = array(layers.AsLinear(name=name, x=ref.tensor(case["x"])).logits)
    close(logits, case["x"].astype(np.float64) @ ternary(weight).T)
    close(logits, case["logits"])


def test_the_gradients_of_an_embedding_are_those_of_its_logits(layers, name, random):
    weight = golden("embedding_50_192")["weight"]
    x, g = normal(random, 2, 7, 192), normal(random, 2, 7, 50)
    load(layers, name, weight, kind=EMBEDDING)
    grads = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    close(array(grads.grad_input), g.astype(np.float64) @ ternary(weight))
    close(array(grads.grad_weight),
          np.einsum("abo,abi->oi", g.astype(np.float64), x.astype(np.float64)))
    assert not grads.HasField("grad_bias")


def test_the_gradients_of_many_rows(layers, name, random):
    """More rows than grad_input computes at a time."""
    weight = normal(random, 40, 96)
    x, g = normal(random, 1100, 96), normal(random, 1100, 40)
    load(layers, name, weight)
    grads = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    close(array(grads.grad_input), g.astype(np.float64) @ ternary(weight))


# ---- products ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F32, F16, BF16], ids=["f32", "f16", "bf16"])
@pytest.mark.parametrize("shape", [(256,), (1, 256), (3, 5, 256), (2, 1, 70, 256),
                                   (1, 2, 1, 1, 3, 1, 1, 256)], ids=str)
def test_x_has_any_rank_and_y_its_dtype_rounded_once(layers, name, random, shape, dtype):
    weight, bias = normal(random, 100, 256), normal(random, 100)
    load(layers, name, weight, bias)
    x = ref.widen(ref.narrow(normal(random, *shape), dtype), dtype).reshape(shape)
    y = layers.Forward(name=name, x=ref.tensor(x, dtype)).y
    assert list(y.shape) == [*shape[:-1], 100] and y.dtype == dtype
    full = array(layers.Forward(name=name, x=ref.tensor(x)).y)
    close(full, x.astype(np.float64) @ ternary(weight).T + bias)
    assert y.data == ref.narrow(full, dtype)


@pytest.mark.parametrize("dtype", [F32, BF16], ids=["f32", "bf16"])
def test_int8_activations_are_exact_in_integers(layers, name, random, dtype):
    weight = normal(random, 90, 300)
    load(layers, name, weight)
    x = ref.widen(ref.narrow(normal(random, 70, 300), dtype), dtype).reshape(70, 300).copy()
    x[3] = 0
    y = array(layers.Forward(name=name, activations=INT8,
                             x=ref.tensor(x, dtype)).y)
    absmax = np.abs(x).max(axis=1, keepdims=True)
    factor = (np.float32(127) / np.where(absmax == 0, 1, absmax)).astype(np.float32)
    quantized = np.rint(x * factor).astype(np.float64)
    close(y, quantized @ ternary(weight).T * absmax / 127, 1e-5 if dtype == F32 else 4e-3)
    assert (y[3] == 0).all()
    exact = x.astype(np.float64) @ ternary(weight).T
    assert np.linalg.norm(y - exact) < 0.02 * np.linalg.norm(exact)


@pytest.mark.parametrize("rows, columns, batch", [(1, 16, 1), (500, 300, 7), (40, 4100, 130)])
def test_int8_activations_report_their_error_against_f32(layers, name, random, rows, columns, batch):
    load(layers, name, normal(random, rows, columns), normal(random, rows))
    x = ref.tensor(normal(random, batch, columns))
    expected = array(layers.Forward(name=name, x=x).y).astype(np.float64)
    plain = layers.Forward(name=name, activations=INT8, x=x)
    told = layers.Forward(name=name, activations=INT8, report_error=True, x=x)
    assert told.y == plain.y and not plain.HasField("max_error")
    error = np.abs(array(told.y).astype(np.float64) - expected).max()
    assert error > 0 and told.max_error == np.float32(error)
    assert told.relative_error == np.float32(error / np.abs(expected).max())
    assert told.relative_error < 0.02


def test_the_error_is_that_of_y_before_it_is_rounded_to_its_dtype(layers, name, random):
    load(layers, name, normal(random, 60, 256))
    x = ref.widen(ref.narrow(normal(random, 5, 256), BF16), BF16).reshape(5, 256)
    full, half = (layers.Forward(name=name, activations=INT8, report_error=True,
                                 x=ref.tensor(x, dtype)) for dtype in (F32, BF16))
    assert full.max_error == half.max_error > 0
    assert full.relative_error == half.relative_error


def test_the_error_of_f32_activations_and_of_zeros_is_0(layers, name, random):
    load(layers, name, normal(random, 60, 256))
    x = ref.tensor(normal(random, 5, 256))
    zeros = ref.tensor(np.zeros((5, 256)))
    for reply in (layers.Forward(name=name, report_error=True, x=x),
                  layers.Forward(name=name, activations=INT8, report_error=True, x=zeros)):
        assert reply.HasField("max_error") and reply.HasField("relative_error")
        assert reply.max_error == reply.relative_error == 0


def test_the_error_is_not_finite_where_a_product_is_not(layers, name):
    load(layers, name, np.full((2, 64), 1e30))
    reply = layers.Forward(name=name, activations=INT8, report_error=True,
                           x=ref.tensor(np.full((1, 64), 1e30)))
    assert not np.isfinite(reply.max_error) and not np.isfinite(reply.relative_error)


@pytest.mark.parametrize("dtype", [F16, BF16], ids=["f16", "bf16"])
def test_gradients_have_the_dtypes_of_their_inputs(layers, name, random, dtype):
    load(layers, name, normal(random, 48, 144), np.zeros(48, np.float32), group_size=16)
    x, g = normal(random, 2, 9, 144), normal(random, 2, 9, 48)
    g = ref.widen(ref.narrow(g, dtype), dtype).reshape(g.shape)
    half = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g, dtype))
    full = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    assert half.grad_input == full.grad_input and half.grad_input.dtype == F32
    for field in ("grad_weight", "grad_bias"):
        one, other = getattr(half, field), getattr(full, field)
        assert one.dtype == dtype and one.data == ref.narrow(array(other), dtype)


def test_gradients_are_those_of_the_loss_by_the_ternary_weights(layers, name, random):
    """Checks the straight-through estimator numerically: d(sum(g*y)) by a weight and by an
    input."""
    weight, x, g = normal(random, 6, 32), normal(random, 4, 32), normal(random, 4, 6)
    load(layers, name, weight, np.zeros(6, np.float32), group_size=16)
    grads = layers.Backward(name=name, x=ref.tensor(x), grad_output=ref.tensor(g))
    w, x = ternary(weight, 16), x.astype(np.float64)

    def slope(at, index, loss):
        step = np.zeros_like(at)
        step[index] = 1e-4
        return (loss(at + step) - loss(at - step)) / 2e-4

    for index in [(0, 0), (5, 31), (2, 17)]:
        close(array(grads.grad_weight)[index],
              slope(w, index, lambda at: (g * (x @ at.T)).sum()), 1e-4)
    for index in [(0, 0), (3, 31), (1, 17)]:
        close(array(grads.grad_input)[index],
              slope(x, index, lambda at: (g * (at @ w.T)).sum()), 1e-4)


def test_all_is_the_same_for_every_isa_and_thread_count(start, random):
    weight, x, g = normal(random, 500, 700), normal(random, 66, 700), normal(random, 66, 500)
    answers = []
    for number, words in enumerate([["--isa", "portable", "--threads", 1], ["--threads", 3]]):
        own = start(*words, name=f"own{number}")
        one = Service(own)
        load(one, "l", weight)
        one.Create(spec=spec("c", 33, 1000), seed=7)
        grads = one.Backward(name="l", x=ref.tensor(x), grad_output=ref.tensor(g))
        answers.append([
            one.Forward(name="l", x=ref.tensor(x)).y.data,
            one.Forward(name="l", x=ref.tensor(x), activations=INT8,
                        report_error=True).SerializeToString(deterministic=True),
            grads.grad_input.data, grads.grad_weight.data,
            one.Get(name="c").data, one.Get(name="c", part=LATENTS).data,
            [report.digest for report in one.Verify().reports]])
        assert own.stop() == 0
    assert answers[0] == answers[1]
