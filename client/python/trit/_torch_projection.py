# SPDX-License-Identifier: Apache-2.0
"""The projection in torch operations, to the daemon's bits, and its gradient."""

from __future__ import annotations

from typing import Any, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ._weight import plain

LANES = 16  # kernels/NUMERICS.md: the sum of a group has 16 lanes


def sum_of_lanes(values: Tensor) -> Tensor:
    """f64 [..., elements] to [...], in the order of the numeric contract."""
    padded = F.pad(values, (0, -values.shape[-1] % LANES))
    lanes = padded.reshape(*values.shape[:-1], -1, LANES)
    total = lanes[..., 0, :]
    for i in range(1, lanes.shape[-2]):
        total = total + lanes[..., i, :]
    half = LANES // 2
    while half:
        total = total[..., :half] + total[..., half:]
        half //= 2
    return total[..., 0]


def project(latent: Tensor, group_size: int, exact: bool = False) -> Tuple[Tensor, Tensor]:
    """The projection in torch, and its scales in f32."""
    columns = latent.shape[-1]
    # Contiguous, as the daemon's results are; see below.
    rows = plain(latent).detach().reshape(-1, columns).contiguous().double()
    width = min(group_size, columns)  # zeros beyond a row do not change its sums
    short = -columns % width
    padded = F.pad(rows, (0, short)).reshape(rows.shape[0], -1, width)
    divisor = torch.full(
        padded.shape[1:2], float(group_size), dtype=torch.float64, device=rows.device
    )
    if exact and columns % group_size:
        divisor[-1] = columns % group_size
    scales = (sum_of_lanes(padded.abs()) / divisor).float()
    s = scales.double().unsqueeze(-1)
    nonzero = (2 * padded.abs() > s).float()
    # The scale is rounded once to the output's type; a zero keeps its weight's sign.
    rounded = scales.to(latent.dtype).float().unsqueeze(-1)
    dense = torch.copysign(nonzero * rounded, padded.float()).reshape(rows.shape[0], -1)
    if short:
        # Without a clone the rows would keep their padding. For such a stride a matrix
        # product may use another kernel, whose last bits differ.
        dense = dense[:, :columns].clone(memory_format=torch.contiguous_format)
    return dense.to(latent.dtype).reshape(latent.shape), scales


class StraightThrough(torch.autograd.Function):
    """Forward is the projection. Backward returns the gradient unchanged."""

    @staticmethod
    def forward(*args: Any) -> Tensor:
        latent, project = args[-2:]  # torch 1.13 passes the context before them
        ternary: Tensor = project(latent)
        return ternary

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Does nothing, but torch.func requires it."""

    @staticmethod
    def backward(ctx: Any, grad_ternary: Tensor) -> Tuple[Tensor, None]:
        return grad_ternary, None


def straight_through(latent: Tensor, group_size: int) -> Tensor:
    """The projection in torch, whose gradient is that of the latents."""
    ternary: Tensor = StraightThrough.apply(plain(latent), lambda w: project(w, group_size)[0])
    return ternary
