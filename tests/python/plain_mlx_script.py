# SPDX-License-Identifier: Apache-2.0
"""A script as users of a ternary MLX layer write them. test_mlx_script.py runs it with the
plain layer and, unchanged but for the import, with trit.mlx. SAVE names a file."""

import math

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import plain_mlx_layer as ternary
from mlx.utils import tree_flatten

mx.random.seed(7)


class Feed(nn.Module):
    def __init__(self, dims, hidden):
        super().__init__()
        self.up = ternary.TernaryLinear(dims, hidden)
        self.down = ternary.TernaryLinear(in_features=hidden, out_features=dims, bias=True)

    def __call__(self, x):
        return x + self.down(nn.silu(self.up(x)))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = ternary.TernaryEmbedding(num_embeddings=48, embedding_dim=128)
        self.first, self.second = Feed(128, 256), Feed(128, 256)
        self.norm = nn.RMSNorm(128)
        self.blocks = [ternary.TernaryLinear(128, 128, bias=False)]

    def __call__(self, ids):
        x = self.second(self.first(self.embed(ids)))
        return self.embed.as_linear(self.norm(self.blocks[0](x)))


def loss_of(model, ids):
    return nn.losses.cross_entropy(model(ids), ids, reduction="mean")


# Attributes and parameters
print("group size", ternary.GROUP_SIZE)
model = Model()
linear, bias, embed = model.first.up, model.first.down.bias, model.embed
print(linear.in_features, linear.out_features, linear.bias, linear.weight.shape)
print(bias.shape, bias.sum().item(), embed.num_embeddings, embed.embedding_dim)
for name, array in tree_flatten(model.parameters()):
    print(name, array.shape, array.dtype, array.abs().mean().item())

# The projection and its gradient
w = mx.random.normal((3, 200))
print("projected", ternary.ternary_projection(w).tolist())
print("gradient", mx.grad(lambda w: (ternary.ternary_projection(w) ** 2).sum())(w).tolist())
print("compiled", mx.compile(ternary.ternary_projection)(w).tolist())
layer = ternary.TernaryLinear(200, 4)
print("padded", layer(mx.ones((2, 200))).tolist())

# Training, step by step and compiled
ids = mx.arange(24).reshape(4, 6) * 7 % 48
optimizer = optim.SGD(0.2)
value_and_grad = nn.value_and_grad(model, loss_of)
for i in range(4):
    loss, gradients = value_and_grad(model, ids + i)
    optimizer.update(model, gradients)
    mx.eval(model.parameters(), optimizer.state)
    print("step", i, loss.item(), gradients["embed"]["weight"].abs().sum().item())

small, optimizer = ternary.TernaryLinear(200, 8), optim.SGD(0.1)
small_and_grad = nn.value_and_grad(small, lambda x: nn.relu(small(x)).sum())
state = [small.state, optimizer.state]


def step(x):
    loss, gradients = small_and_grad(x)
    optimizer.update(small, gradients)
    return loss


step = mx.compile(step, inputs=state, outputs=state)
for i in range(4):
    loss = step(w)
    mx.eval(state)
    print("compiled step", i, loss.item(), math.exp(loss.item()), small.weight.sum().item())

# Verification
results = ternary.verify_ternary_weights(model.first, tol=1e-5)
print(len(results), all(one["is_ternary"] for one in results.values()))
for name, one in {**results, **ternary.verify_ternary_weights(model.second, 1e-5)}.items():
    print(name, one["is_ternary"], one["max_round_error"], one["shape"])

# Files
model.save_weights(SAVE)  # noqa: F821
print("saved", sorted((name, array.shape) for name, array in mx.load(SAVE).items()))  # noqa: F821
print("own", model(ids)[:, -1, :8].tolist())
