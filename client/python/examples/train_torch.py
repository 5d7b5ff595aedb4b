# SPDX-License-Identifier: Apache-2.0
"""Trains a small classifier with ternary weights in torch and files a report every 20 steps.

TRITD_ADDRESS=127.0.0.1:6561 python train_torch.py
"""

import torch
from torch import nn

import trit

torch.manual_seed(0)
inputs = torch.randn(512, 64)
labels = (inputs[:, :8].sum(1) > 0).long()

client = trit.Client(timeout=60)
model = nn.Sequential(
    nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
)
model = trit.torch.convert(model, exclude="4", client=client)
print(model.trit_conversion)

after_step = trit.torch.verify_every(model, run="train-torch", every=20, client=client)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
for step in range(1, 101):
    loss = nn.functional.cross_entropy(model(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    reports = after_step(step)
    if reports is not None:
        flips = sum(report.flips for report in reports.values())
        print(f"step {step}: loss {loss.item():.3f}, {flips} weights changed their sign or zero")

accuracy = (model(inputs).argmax(1) == labels).float().mean().item()
print(f"accuracy {accuracy:.2f}")
print("health:", client.reports.get("train-torch", "0").health)
