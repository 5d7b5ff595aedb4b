# SPDX-License-Identifier: Apache-2.0
"""Enums, their names, and what a projection gives.

Wherever a call takes an enum it also takes the member's name, such as "pq2_0". Type
checkers know the names in lower case; at run time their case does not matter.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, Literal, NamedTuple, Optional, Tuple, Union

from .reports import Report

GROUP_SIZE = 128

DTypeName = Literal["f32", "f16", "bf16", "i8", "u8"]
FloatName = Literal["f32", "f16", "bf16"]
EncodingName = Literal[
    "dense", "int8", "pq2_0", "q2_0", "ptq1_0", "tq1_0", "tq2_0", "mlx_2bit", "i2_s", "hf_bitnet"
]
PartialGroupName = Literal["padded", "exact"]
VerifyModeName = Literal["ternary", "latent"]
ReportDetailName = Literal["full", "brief", "none"]
LayerKindName = Literal["linear", "embedding"]
LayerPartName = Literal["ternary", "latents", "spec"]
ActivationsName = Literal["f32", "int8"]
DurabilityName = Literal["durable", "best_effort"]


class DType(enum.IntEnum):
    """Element types. Results of calls have F32, F16 or BF16; codes have I8 or U8.

    Example:
        >>> client.project(weights.astype(np.float16)).report.dtype
        'f16'
    """

    F32 = 1
    F16 = 2
    BF16 = 3
    I8 = 4
    U8 = 5


class Encoding(enum.IntEnum):
    """How ternary weights lie in memory. `Projection` has the shapes.

    DENSE is t*s in the input's dtype and INT8 one int8 code for each weight. PQ2_0, Q2_0,
    PTQ1_0, TQ1_0 and TQ2_0 are the blocks of GGUF files, MLX_2BIT is that of MLX, I2_S that
    of bitnet.cpp, HF_BITNET that of transformers.

    Example:
        >>> client.project(weights, encoding=trit.Encoding.PQ2_0).encoding.name
        'PQ2_0'
    """

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
    """What the scale of a row's short last group divides by.

    PADDED divides by the group size, EXACT by the number of weights that the group has.

    Example:
        >>> short = weights[:, :200]  # groups of 128 and 72
        >>> client.project(short, partial_group="exact").partial_group.name
        'EXACT'
    """

    PADDED = 0
    EXACT = 1


class VerifyMode(enum.IntEnum):
    """What a verification takes the tensor for.

    TERNARY: the tensor claims to be ternary. LATENT: it holds latents; they are projected,
    and the projection is verified.

    Example:
        >>> client.verify(weights).is_ternary, client.verify(weights, mode="latent").is_ternary
        (False, True)
    """

    TERNARY = 0
    LATENT = 1


class ReportDetail(enum.IntEnum):
    """How much the report of a projection measures.

    FULL: everything. BRIEF: all but mse, cosine, sqnr_db and near_threshold_fraction.
    NONE: there is no report.

    Example:
        >>> client.project(weights, report="none").report is None
        True
    """

    FULL = 0
    BRIEF = 1
    NONE = 2


class LayerKind(enum.IntEnum):
    """LINEAR computes y = x @ Wt.T + bias; EMBEDDING gives the rows of Wt by id.

    Example:
        >>> client.layers.create("kind", 64, 10, kind="embedding").kind.name
        'EMBEDDING'
        >>> client.layers.delete("kind")
    """

    LINEAR = 0
    EMBEDDING = 1


class LayerPart(enum.IntEnum):
    """What `Layers.get` gives besides the layer's spec.

    TERNARY: the ternary weights and the bias. LATENTS: the latents, which the daemon kept or
    draws again from the seed. SPEC: nothing more.

    Example:
        >>> client.layers.create("part", 64, 10).name
        'part'
        >>> client.layers.get("part", "spec").weight is None
        True
        >>> client.layers.delete("part")
    """

    TERNARY = 0
    LATENTS = 1
    SPEC = 2


class Activations(enum.IntEnum):
    """How x enters a product.

    F32: as it is. INT8: each row as int8, scaled by its largest magnitude.

    Example:
        >>> client.layers.load("activations", weights).out_features
        256
        >>> y = client.layers.forward("activations", weights, activations="int8")
        >>> y.shape
        (256, 256)
        >>> client.layers.delete("activations")
    """

    F32 = 0
    INT8 = 1


class Durability(enum.IntEnum):
    """Whether a call waits for its report.

    DURABLE: until the report is on the daemon's disk; the call fails if it cannot be.
    BEST_EFFORT: not, and the call does not fail with it: `report.stored` says whether it is
    on disk.

    Example:
        >>> projection = client.project(
        ...     weights, layer=("best effort", "fc", 20), durability="best_effort"
        ... )
        >>> projection.report.stored in (True, False)
        True
    """

    DURABLE = 0
    BEST_EFFORT = 1


AnyDType = Union[DType, DTypeName]
AnyEncoding = Union[Encoding, EncodingName]
AnyPartialGroup = Union[PartialGroup, PartialGroupName]
AnyVerifyMode = Union[VerifyMode, VerifyModeName]
AnyReportDetail = Union[ReportDetail, ReportDetailName]
AnyLayerKind = Union[LayerKind, LayerKindName]
AnyLayerPart = Union[LayerPart, LayerPartName]
AnyActivations = Union[Activations, ActivationsName]
AnyDurability = Union[Durability, DurabilityName]


class LayerRef(NamedTuple):
    """Where a report is stored.

    Attributes:
        run: Name of the training run; up to 255 bytes.
        layer: Name of the layer; up to 255 bytes.
        step: Training step, 0 or more.

    Example:
        >>> projection = client.project(weights, layer=trit.LayerRef("run-7", "fc", 20))
        >>> client.reports.get("run-7", "fc").step
        20
    """

    run: str
    layer: str
    step: int = 0


# Encodings with one scale for the whole tensor.
ONE_SCALE = (Encoding.I2_S, Encoding.HF_BITNET)


@dataclasses.dataclass(frozen=True)
class Projection:
    """A ternarized tensor. Its arrays are of the library of the input.

    | encoding  | data                              | scales                         |
    |-----------|-----------------------------------|--------------------------------|
    | DENSE     | t*s, the input's shape and dtype  | None                           |
    | INT8      | int8, the input's shape           | f32 [..., groups]              |
    | MLX_2BIT  | uint32 [..., columns / 16]        | f16 [..., groups]              |
    | blocks    | uint8 [..., bytes of a row]       | None (inside of the blocks)    |
    | HF_BITNET | uint8 [rows / 4, columns]         | f32 [1], the weight_scale      |
    | I2_S      | uint8 [bytes]                     | None (in the last 32 bytes)    |

    Tensors of torch have int32 instead of uint32, with the same bits.

    A projection knows how it was made: `Client.verify` and `Client.unpack` take the encoding,
    shape, scales, group size and partial group from it, and refuse others.

    Attributes:
        data: The encoded weights.
        scales: The scales, where the encoding keeps them in an array of their own.
        report: The report; None with report="none".
        encoding: The encoding of `data`.
        shape: The shape of the input.
        group_size: Weights that share a scale; 0 stands for the whole tensor.
        partial_group: What the scale of a row's short last group divides by.

    Example:
        >>> projection = client.project(weights, encoding="int8")
        >>> projection.data.shape, projection.scales.shape, projection.report.is_ternary
        ((256, 256), (256, 2), True)
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
        """The biases that `mx.dequantize` takes with the scales of MLX_2BIT: -scales.

        Returns:
            f16 [..., groups]; None without scales.

        Example:
            >>> projection = client.project(weights, encoding="mlx_2bit")
            >>> bool((projection.biases == -projection.scales).all())
            True
        """
        return None if self.scales is None else -self.scales
