# SPDX-License-Identifier: Apache-2.0
"""Trains a small classifier with ternary weights in MLX and files a report every 20 steps.

The steps are compiled: they project without the daemon, to the same bits.

    TRITD_ADDRESS=127.0.0.1:6561 python train_mlx.py
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

import trit
import trit.mlx

mx.random.seed(0)
inputs = mx.random.normal((512, 64))
labels = (inputs[:, :8].sum(1) > 0).astype(mx.int32)

model = nn.Sequential(
    nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
)
model = trit.mlx.convert(model, exclude="layers.4")
print(model.trit_conversion)


def loss_of(inputs: Any, labels: Any) -> Any:
    """The loss of a batch."""
    return nn.losses.cross_entropy(model(inputs), labels, reduction="mean")


def train(inputs: Any, labels: Any) -> Any:
    """One step; gives the loss."""
    loss, gradients = nn.value_and_grad(model, loss_of)(inputs, labels)
    optimizer.update(model, gradients)
    return loss


optimizer = optim.SGD(0.1, momentum=0.9)
state = [model.state, optimizer.state]
train = mx.compile(train, inputs=state, outputs=state)

client = trit.Client(timeout=60)
after_step = trit.mlx.verify_every(model, run="train-mlx", every=20, client=client)
for step in range(1, 101):
    loss = train(inputs, labels)
    mx.eval(state)
    reports = after_step(step)
    if reports is not None:
        flips = sum(report.flips for report in reports.values())
        print(f"step {step}: loss {loss.item():.3f}, {flips} weights changed their sign or zero")

accuracy = (model(inputs).argmax(1) == labels).mean().item()
print(f"accuracy {accuracy:.2f}")
print("without a daemon:", trit.mlx.verify_ternary_weights(model)["layers.0"]["verdict"])
