# SPDX-License-Identifier: Apache-2.0
"""A small transformer as its larger kin are: RMSNorm, rotary positions, grouped-
query attention, SwiGLU; every linear layer and the embedding ternary."""
import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

from trit.torch import TernaryEmbedding, TernaryLinear


@dataclasses.dataclass(frozen=True)
class Shape:
    symbols: int
    layers: int = 2
    width: int = 128  # a group
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 384
    context: int = 128


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.gain


def rotary(context, head):
    """cos and sin [context, head/2] of the positions' angles."""
    rates = 10000.0 ** (-torch.arange(0, head, 2).float() / head)
    angles = torch.arange(context).float()[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads, self.kv_heads = shape.heads, shape.kv_heads
        self.head = shape.width // shape.heads
        self.q = TernaryLinear(shape.width, shape.width, bias=False)
        self.k = TernaryLinear(shape.width, self.head * shape.kv_heads, bias=False)
        self.v = TernaryLinear(shape.width, self.head * shape.kv_heads, bias=False)
        self.o = TernaryLinear(shape.width, shape.width, bias=False)
        cos, sin = rotary(shape.context, self.head)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        future = torch.ones(shape.context, shape.context, dtype=torch.bool).triu(1)
        self.register_buffer("future", future, persistent=False)

    def _split(self, x, heads):
        return x.view(*x.shape[:2], heads, self.head).transpose(1, 2)

    def forward(self, x):
        length = x.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        q = rotate(self._split(self.q(x), self.heads), cos, sin)
        k = rotate(self._split(self.k(x), self.kv_heads), cos, sin)
        v = self._split(self.v(x), self.kv_heads)
        shared = self.heads // self.kv_heads  # query heads that share a key head
        k, v = (one.repeat_interleave(shared, dim=1) for one in (k, v))
        scores = q @ k.transpose(2, 3) * self.head ** -0.5
        scores = scores.masked_fill(self.future[:length, :length], float("-inf"))
        return self.o((scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))


class SwiGLU(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.gate = TernaryLinear(shape.width, shape.hidden, bias=False)
        self.up = TernaryLinear(shape.width, shape.hidden, bias=False)
        self.down = TernaryLinear(shape.hidden, shape.width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.attention_norm, self.attention = RMSNorm(shape.width), Attention(shape)
        self.mlp_norm, self.mlp = RMSNorm(shape.width), SwiGLU(shape)

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Transformer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embed = TernaryEmbedding(shape.symbols, shape.width)
        self.embed_norm = RMSNorm(shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape.width)
        self.head = TernaryLinear(shape.width, shape.symbols, bias=False)

    def forward(self, ids):
        x = self.embed_norm(self.embed(ids))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
