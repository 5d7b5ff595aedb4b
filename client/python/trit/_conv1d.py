# SPDX-License-Identifier: Apache-2.0
"""The ternary layer for Conv1D of transformers, which GPT-2 is made of.

Conv1D is a linear layer whose weight is [in, out]. Its groups lie along the inputs of each
output, as in every other layer.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from ._torch_layers import Ternary, weight_property

__all__ = ["Conv1D", "TernaryConv1D"]


class TernaryConv1D(Ternary, Conv1D):
    """Computes y = x @ Wt + bias, where Wt is the projection of the latent `weight`.

    `convert` makes it of a Conv1D.

    Attributes:
        weight: The latents [in_features, out_features].
        bias: [out_features].
        group_size: Weights of a column that share a scale.
        client: The client to project with; None to project in torch.
        nan: "raise" or "warn": what latents that are not finite do.

    Example:
        >>> import torch
        >>> from transformers.pytorch_utils import Conv1D
        >>> layer = trit.torch.convert(Conv1D(10, 256), client=client)
        >>> layer(torch.ones(2, 256)).shape
        torch.Size([2, 10])
    """

    weight = weight_property
    turned = True

    def forward(self, x: Tensor) -> Tensor:
        """Computes y.

        Args:
            x: [..., in_features].

        Returns:
            [..., out_features].

        Raises:
            Error: The call to the daemon failed.

        Example:
            >>> import torch
            >>> from transformers.pytorch_utils import Conv1D
            >>> trit.torch.convert(Conv1D(10, 256)).forward(torch.ones(2, 256)).shape
            torch.Size([2, 10])
        """
        rows = x.reshape(-1, x.shape[-1])
        y = torch.addmm(self.bias, rows, self.ternary_weight())
        return y.view(*x.shape[:-1], y.shape[-1])

    def __repr__(self) -> str:
        rows, columns = self._latent().shape
        return f"TernaryConv1D({rows}, {columns}, group_size={self.group_size})"
