# SPDX-License-Identifier: Apache-2.0
"""Where and how a call's report is stored: layer, attempt, replica, shard, durability."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple, Union

from ._arguments import c_text, member, shape_of, unsigned, wrong_type
from ._native import new
from .errors import InvalidArgument
from .reports import Shard
from .types import AnyDurability, Durability, LayerRef

Layer = Union[LayerRef, Tuple[str, str, int], Tuple[str, str]]


def _shard(shard: Shard) -> Any:
    """A struct trit_shard."""
    if not isinstance(shard, (tuple, list)) or len(shard) != 2:
        raise wrong_type("shard", "a trit.Shard (global_shape, offset)", shard)
    shape, offset = (shape_of(axes, "shard") for axes in shard)
    if len(shape) != len(offset) or not 1 <= len(shape) <= 8:
        raise InvalidArgument(
            f"shard: global_shape has {len(shape)} axes and offset {len(offset)}; both have "
            "as many as the tensor, 1 to 8",
            "shard",
        )
    return new(
        "struct trit_shard *", {"rank": len(shape), "global_shape": shape, "offset": offset}
    )


def fill_filing(
    options: Any,
    layer: Optional[Layer],
    attempt: int,
    replica: int,
    shard: Optional[Shard],
    durability: AnyDurability,
) -> List[Any]:
    """Fills `options.layer` and `options.durability`; returns what must outlive the call."""
    options.durability = member(Durability, durability, "options.durability")
    numbers = {
        "attempt": unsigned(attempt, 2**32, "attempt"),
        "replica": unsigned(replica, 2**32, "replica"),
    }
    if layer is None:
        for name, value in {**numbers, "shard": shard}.items():
            if value:
                raise InvalidArgument(f"{name}: needs a layer, under which to store", name)
        return []
    if not isinstance(layer, (tuple, list)) or not 2 <= len(layer) <= 3:
        raise wrong_type("layer", "a tuple (run, layer, step)", layer)
    run, name, step = LayerRef(*layer)
    if run == "":
        raise InvalidArgument(
            "layer.run: '' names no run; leave layer out to store no report", "layer.run"
        )
    borrowed: List[Any] = [c_text(run, "layer.run"), c_text(name, "layer.layer")]
    ref = options.layer
    ref.run, ref.layer = borrowed
    ref.step = unsigned(step, 2**63, "layer.step")
    ref.attempt, ref.replica = numbers["attempt"], numbers["replica"]
    if shard is not None:
        borrowed.append(_shard(shard))
        ref.shard = borrowed[-1]
    return borrowed
