"""Which tensors of a checkpoint are layers, what becomes of each in an encoding, and the
record of both that a projected file carries. The rules, names and JSON are those of the
command `trit`, so that either reads what the other wrote."""
from __future__ import annotations

import json
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from ._safetensors import Tensor
from ._selection import Patterns, selected
from ._version import VERSION
from .errors import InvalidArgument, Unimplemented
from .types import GROUP_SIZE, ONE_SCALE, Encoding, PartialGroup, member

KEY = "trit"
LATENT = {"F32": 4, "F16": 2, "BF16": 2}  # what latents may be; bytes
# GGUF blocks: weights, bytes.
_BLOCKS = {Encoding.PQ2_0: (128, 34), Encoding.Q2_0: (64, 18), Encoding.PTQ1_0: (128, 28),
           Encoding.TQ1_0: (256, 54), Encoding.TQ2_0: (256, 66)}


class Selection(NamedTuple):
    """What of a checkpoint is meant."""

    include: Patterns = None
    exclude: Patterns = None
    convolutions: bool = False

    def by_name(self, name: str) -> bool:
        return selected(name, self.include, self.exclude)

    def by_shape(self, tensor: Tensor) -> bool:
        return 2 <= len(tensor.shape) <= (4 if self.convolutions else 2) and \
            tensor.nbytes > 0 and self.by_name(tensor.name)

    def is_layer(self, tensor: Tensor) -> bool:
        return tensor.dtype in LATENT and self.by_shape(tensor)


def matrix(shape: Tuple[int, ...]) -> Tuple[int, int]:
    """[out, in]: of a convolution, the matrix its unfolded form multiplies by."""
    columns = 1
    for axis in shape[1:]:
        columns *= axis
    return shape[0], columns


# ---- forms ------------------------------------------------------------------------------

class Forms(NamedTuple):
    """What a layer becomes in a file."""

    data: Tensor
    scales: Optional[Tensor]


def encoded(tensor: Tensor, encoding: Encoding, group_size: int) -> Forms:
    rows, columns = matrix(tensor.shape)
    if encoding == Encoding.DENSE:
        return Forms(tensor._replace(offset=None), None)
    if encoding == Encoding.INT8:
        groups = -(-columns // group_size)
        return Forms(Tensor(tensor.name, "I8", tensor.shape, rows * columns),
                     Tensor(scales_name(tensor.name, encoding), "F32", (rows, groups),
                            rows * groups * 4))
    if encoding == Encoding.HF_BITNET:
        return _bitnet(tensor, rows, columns, group_size)
    if encoding not in _BLOCKS:
        raise Unimplemented(f"{tensor.name}: {encoding.name.lower()} has no form in a "
                            "safetensors file yet", "encoding")
    weights, bytes_ = _BLOCKS[encoding]
    if columns % weights:
        raise InvalidArgument(f"{tensor.name}: {encoding.name.lower()} holds rows of a multiple "
                              f"of {weights} weights, these have {columns}", "encoding")
    row = columns // weights * bytes_
    return Forms(Tensor(tensor.name, "U8", (rows, row), rows * row), None)


def _bitnet(tensor: Tensor, rows: int, columns: int, group_size: int) -> Forms:
    """A weight and its weight_scale, as transformers has them."""
    if group_size:
        raise InvalidArgument(f"{tensor.name}: hf_bitnet has one scale for the whole tensor, not "
                              f"one for each {group_size} weights", "group_size")
    if rows % 4:
        raise InvalidArgument(f"{tensor.name}: hf_bitnet holds a multiple of 4 rows, these are "
                              f"{rows}", "encoding")
    return Forms(Tensor(tensor.name, "U8", (rows // 4, columns), rows // 4 * columns),
                 Tensor(scales_name(tensor.name, Encoding.HF_BITNET), "F32", (1,), 4))


def scales_name(layer: str, encoding: Encoding) -> str:
    return f"{layer}_scale" if encoding == Encoding.HF_BITNET else f"{layer}.scales"


def unpacked_shape(tensor: Tensor, encoding: Encoding) -> Tuple[int, ...]:
    """The dense shape of a tensor that nobody noted: full blocks."""
    if encoding in (Encoding.DENSE, Encoding.INT8):
        return tensor.shape
    if encoding == Encoding.HF_BITNET and len(tensor.shape) == 2:
        return 4 * tensor.shape[0], tensor.shape[1]
    weights, bytes_ = _BLOCKS.get(encoding, (0, 0))
    if not bytes_ or len(tensor.shape) != 2 or tensor.shape[1] % bytes_:
        raise InvalidArgument(f"{tensor.name}: its rows are no whole number of "
                              f"{encoding.name.lower()} blocks", "encoding")
    return tensor.shape[0], tensor.shape[1] // bytes_ * weights


def holds(tensor: Tensor, encoding: Encoding) -> bool:
    """Whether a tensor's dtype is that of an encoding's data."""
    if encoding == Encoding.DENSE:
        return tensor.dtype in LATENT
    return tensor.dtype == ("I8" if encoding == Encoding.INT8 else "U8")


# ---- the record ---------------------------------------------------------------------------

class Record(NamedTuple):
    """How a file was made; group size 0: one for the tensor; `layers` maps names to
    dense dtype and shape (None: the file says nothing)."""

    encoding: Encoding = Encoding.DENSE
    group_size: int = GROUP_SIZE
    partial_group: PartialGroup = PartialGroup.PADDED
    layers: Optional[Dict[str, Dict[str, Any]]] = None

    def text(self) -> str:
        return json.dumps({"encoding": self.encoding.name.lower(), "group_size": self.group_size,
                           "partial_group": self.partial_group.name.lower(), "version": VERSION,
                           "layers": self.layers}, separators=(",", ":"), ensure_ascii=False)


def note(tensor: Tensor) -> Dict[str, Any]:
    return {"dtype": tensor.dtype, "shape": list(tensor.shape)}


def read_record(metadata: Mapping[str, str]) -> Record:
    if KEY not in metadata:
        return Record()
    try:
        told = json.loads(metadata[KEY])
        group_size, layers = int(told["group_size"]), dict(told["layers"])
        for one in layers.values():
            if one["dtype"] not in LATENT or not 1 <= len(one["shape"]) <= 8 or \
                    min(map(int, one["shape"])) < 1:
                raise ValueError
        encoding = member(Encoding, told["encoding"], "encoding")
        if not (0 if encoding in ONE_SCALE else 1) <= group_size < 2**32:
            raise ValueError
        return Record(encoding, group_size,
                      member(PartialGroup, told["partial_group"], "partial_group"), layers)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidArgument(f'the file\'s "{KEY}" metadata makes no sense', KEY) from None


def dense_of(tensor: Tensor, record: Record, encoding: Encoding,
             selection: Selection) -> Optional[Tensor]:
    """The dense tensor that a file's tensor is or was; None: it is no layer."""
    if record.layers is not None:
        found = record.layers.get(tensor.name) if selection.by_name(tensor.name) else None
        if found is None:
            return None
        kind, shape = found["dtype"], tuple(found["shape"])
    elif holds(tensor, encoding) and selection.by_shape(tensor):
        kind = tensor.dtype if encoding == Encoding.DENSE else "F32"
        shape = unpacked_shape(tensor, encoding)
    else:
        return None
    rows, columns = matrix(shape)
    return Tensor(tensor.name, kind, shape, rows * columns * LATENT[kind])
