# SPDX-License-Identifier: Apache-2.0
"""A model in place of a state dict, for the calls over checkpoints."""

from __future__ import annotations

import sys
from typing import Any, Tuple

from ._rules import Options
from .errors import InvalidArgument
from .types import ONE_SCALE


def of_model(source: Any, options: Options) -> Tuple[Any, Options]:
    """The state dict of a model, and options that choose exactly its converted layers.

    Anything else is returned as it is. This module never imports torch: whoever passes a
    model has imported it.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(source, torch.nn.Module):
        return source, options
    from ._export import group_size_of, layers_of, patterns, turned
    from ._torch_layers import Ternary

    for name in ("include", "exclude", "group_size", "transposed"):
        if getattr(options, name) is not None:
            raise InvalidArgument(
                f"{name}: the converted layers of a model are what is projected, in their own "
                "groups; leave it out",
                name,
            )
    layers = layers_of(source, (Ternary,))
    # Latents that look ternary are latents nevertheless.
    chosen = options._replace(
        include=patterns(layers), transposed=patterns(turned(layers)) or None, again=True
    )
    if options.encoding not in ONE_SCALE:
        chosen = chosen._replace(group_size=group_size_of(layers))
    return dict(source.state_dict()), chosen
