# SPDX-License-Identifier: Apache-2.0
"""The vocabulary: element types, encodings, where a report is filed, and what a
projection gives. Wherever an enum is taken, its name in any case is taken too
("pq2_0", "latent")."""
from __future__ import annotations

import dataclasses
import enum
from typing import Any, NamedTuple, Optional, Tuple, Type, TypeVar, Union

from .errors import InvalidArgument
from .reports import Report

GROUP_SIZE = 128

_Named = TypeVar("_Named", bound=enum.IntEnum)


class DType(enum.IntEnum):
    F32 = 1
    F16 = 2
    BF16 = 3
    I8 = 4
    U8 = 5


class Encoding(enum.IntEnum):
    DENSE = 0
    INT8 = 1
    PQ2_0 = 2
    Q2_0 = 3
    PTQ1_0 = 4
    TQ1_0 = 5
    TQ2_0 = 6
    MLX_2BIT = 7
    I2_S = 8
    HF_BITNET = 9


class PartialGroup(enum.IntEnum):
    """What the scale of a row's short last group divides by."""

    PADDED = 0
    EXACT = 1


class VerifyMode(enum.IntEnum):
    """TERNARY: the tensor claims to be ternary. LATENT: project it, then verify
    the projection."""

    TERNARY = 0
    LATENT = 1


class ReportDetail(enum.IntEnum):
    FULL = 0
    BRIEF = 1
    NONE = 2


class LayerKind(enum.IntEnum):
    """LINEAR: y = x . Wt^T + bias. EMBEDDING: rows by id."""

    LINEAR = 0
    EMBEDDING = 1


class LayerPart(enum.IntEnum):
    """What is asked of a layer: its ternary weights with the bias, its latents
    (kept, or drawn again from the seed), or neither."""

    TERNARY = 0
    LATENTS = 1
    SPEC = 2


class Activations(enum.IntEnum):
    """How x enters a product: as it is, or each row as int8 by its largest magnitude."""

    F32 = 0
    INT8 = 1


class LayerRef(NamedTuple):
    """Where a report is filed."""

    run: str
    layer: str
    step: int = 0


# One scale for the whole tensor, which is one group.
ONE_SCALE = (Encoding.I2_S, Encoding.HF_BITNET)


def group_size_of(group_size: Optional[int], encoding: Encoding) -> int:
    """Where none is given: 128, or 0 where the tensor is one group."""
    return group_size or (0 if encoding in ONE_SCALE else GROUP_SIZE)


def member(kind: Type[_Named], value: Union[_Named, int, str], field: str) -> _Named:
    """An enum's member, its number or its name as the member."""
    try:
        return kind[value.upper()] if isinstance(value, str) else kind(value)
    except (KeyError, ValueError):
        names = ", ".join(one.name.lower() for one in kind)
        raise InvalidArgument(f"{field}: {value!r} is none of {names}", field) from None


@dataclasses.dataclass(frozen=True)
class Projection:
    """A ternarized tensor.

    `data` and `scales` are arrays of the kind that went in. By encoding:

    ========== ================================== ===========================
    encoding   data                               scales
    ========== ================================== ===========================
    DENSE      t*s, the input's shape and dtype   None
    INT8       int8, the input's shape            f32 [..., groups]
    MLX_2BIT   uint32 [..., columns/16]           f16 [..., groups]
    blocks     uint8 [..., bytes of a row]        None (inside the blocks)
    HF_BITNET  uint8 [rows/4, columns]            f32 [1] (weight_scale)
    I2_S       uint8 [bytes]                      None (in the last 32 bytes)
    ========== ================================== ===========================

    (torch has no uint32: there MLX codes are int32 with the same bits.)

    It knows how it was made: `client.verify` and `client.unpack` take its encoding,
    shape, scales, group size and partial group from it, and refuse others.
    """

    data: Any
    scales: Optional[Any]
    report: Optional[Report]
    encoding: Encoding
    shape: Tuple[int, ...]
    group_size: int
    partial_group: PartialGroup = PartialGroup.PADDED

    @property
    def biases(self) -> Optional[Any]:
        """What mx.dequantize takes as biases beside an MLX_2BIT's scales."""
        return None if self.scales is None else -self.scales
