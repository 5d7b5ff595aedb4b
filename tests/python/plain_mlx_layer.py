# SPDX-License-Identifier: Apache-2.0
"""A ternary layer for MLX without trit: the interface that trit.mlx replaces.

It projects as simple MLX code does: scales are f32 means, so they may differ from the
daemon's in the last bit.
"""

import mlx.core as mx
import mlx.nn as nn

GROUP_SIZE = 128


def _groups(w):
    rows = w.reshape(-1, w.shape[-1])
    rows = mx.pad(rows, [(0, 0), (0, -rows.shape[1] % GROUP_SIZE)])
    return rows.reshape(rows.shape[0], -1, GROUP_SIZE)


def _scales(groups):
    means = mx.abs(groups).mean(-1, keepdims=True)
    return mx.where(means == 0, 1.0, means)


@mx.custom_function
def ternary_projection(w):
    groups = _groups(w)
    scales = _scales(groups)
    ternary = mx.clip(mx.round(groups / scales), -1, 1) * scales
    return ternary.reshape(ternary.shape[0], -1)[:, : w.shape[-1]].reshape(w.shape)


@ternary_projection.vjp
def _straight_through(primals, cotangent, output):
    return (cotangent,)


class TernaryLinear(nn.Module):
    def __init__(self, in_features, out_features, bias=False):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = mx.random.normal((out_features, in_features)) * in_features**-0.5
        self.bias = mx.zeros((out_features,)) if bias else None

    def __call__(self, x):
        y = x @ ternary_projection(self.weight).T
        return y if self.bias is None else y + self.bias


class TernaryEmbedding(nn.Module):
    def __init__(self, num_embeddings, embedding_dim):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = mx.random.normal((num_embeddings, embedding_dim)) * embedding_dim**-0.5

    def __call__(self, ids):
        return ternary_projection(self.weight)[ids]

    def as_linear(self, x):
        return x @ ternary_projection(self.weight).T


def verify_ternary_weights(model, tol=1e-5):
    results = {}

    def visit(module, prefix):
        for name, child in module.items():
            if isinstance(child, (TernaryLinear, TernaryEmbedding)):
                groups = _groups(ternary_projection(child.weight))
                normalized = groups / _scales(_groups(child.weight))
                codes = mx.round(normalized)
                error = mx.abs(normalized - codes).max().item()
                results[prefix + name] = {
                    "is_ternary": error <= tol and mx.abs(codes).max().item() <= 1,
                    "max_round_error": error,
                    "shape": tuple(child.weight.shape),
                }
            elif isinstance(child, nn.Module):
                visit(child, f"{prefix}{name}.")

    visit(model, "")
    return results
