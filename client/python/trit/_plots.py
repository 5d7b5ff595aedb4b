# SPDX-License-Identifier: Apache-2.0
"""Plots of reports, with matplotlib if it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Optional

import numpy as np

if TYPE_CHECKING:
    from .reports import Report

TRITS = {"-1": "negatives", "0": "zeros", "+1": "positives"}
COLOURS = {"-1": "#2166ac", "0": "#bdbdbd", "+1": "#b2182b"}
BINS = 40


def _axes(figure_size: Any) -> Any:
    """Two axes side by side."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("plot() needs the package matplotlib: pip install matplotlib") from None
    return plt.subplots(1, 2, figsize=figure_size, layout="constrained")[1]


def _shares(report: Report) -> List[float]:
    return [
        getattr(report, field) / report.elements if report.elements else 0.0
        for field in TRITS.values()
    ]


def plot_report(report: Report, scales: Optional[Any]) -> Any:
    """One report: the shares of -1, 0 and +1, and the scales."""
    from ._arrays import view_of  # which needs Report

    axes = _axes((8, 3))
    bars = axes[0].bar(list(TRITS), _shares(report), color=list(COLOURS.values()))
    axes[0].bar_label(bars, fmt="%.3f")
    axes[0].set(title=report.layer or "weights", xlabel="t", ylabel="share", ylim=(0, 1))
    axes[1].set(title="scales", xlabel="scale", ylabel="groups")
    if scales is not None:
        view = view_of(scales, "scales")
        values = np.asarray(view.owner, np.float64).reshape(-1)
        axes[1].hist(values[np.isfinite(values)], bins=BINS, color="#555555")
    for name in ("min", "mean", "max"):
        value = getattr(report, "scale_" + name)
        if value is not None:
            axes[1].axvline(value, linestyle=":" if name != "mean" else "-", color="black")
            axes[1].annotate(
                name, (value, 1), xycoords=("data", "axes fraction"), va="top", rotation=90
            )
    return axes


def plot_layers(reports: Mapping[str, Report]) -> Any:
    """Many reports: the shares of each layer, and a histogram of the layers' mean scales."""
    axes = _axes((10, max(3.0, 0.22 * len(reports) + 1)))
    left = np.zeros(len(reports))
    shares = np.array([_shares(one) for one in reports.values()]).reshape(-1, len(TRITS))
    for trit, part in zip(TRITS, shares.T):
        axes[0].barh(list(reports), part, left=left, color=COLOURS[trit], label=trit)
        left += part
    axes[0].invert_yaxis()
    axes[0].set(title="shares of -1, 0, +1", xlim=(0, 1))
    axes[0].legend(loc="lower right")
    known = [one for one in reports.values() if one.scale_mean is not None]
    axes[1].hist(
        [one.scale_mean for one in known],
        weights=[one.groups for one in known],
        bins=BINS,
        color="#555555",
    )
    axes[1].set(title="scales", xlabel="mean scale of a layer", ylabel="groups")
    return axes
