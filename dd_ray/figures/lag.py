"""Draws the lag of networks over γ, with the share of frames for which it is known."""

from collections.abc import Collection, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dd_ray.config.options import shown_apart
from dd_ray.config.symbols import setting, symbol, values_of
from dd_ray.figures.common import frame, ordered_colours
from dd_ray.probes.lag import LEAST_SHOWN
from dd_ray.probes.networks import Network


def draw_lag(networks: pd.DataFrame, subjects: Sequence[Network]) -> Figure:
    """Draw the lag over γ, and the share of frames for which it is known, with marks for each other setting.

    Args:
        networks: a row for each network: `filtered_with_gamma` (NaN without a filter), `lag`, `low`, `high`,
            `shows_a_circle` (a share of frames) and `motion_per_frame`.
        subjects: the networks.
    """
    gammas = sorted(networks["filtered_with_gamma"].dropna().unique())
    places = {gamma: i for i, gamma in enumerate(gammas)}
    names = shown_apart(gammas)
    if networks["filtered_with_gamma"].isna().any():
        places, names = {gamma: i + 1 for gamma, i in places.items()}, ["no filter", *names]
    groups: dict[str, list[int]] = {}
    among = values_of([subject.settings for subject in subjects])
    for i, subject in enumerate(subjects):
        groups.setdefault(_group(subject, among), []).append(i)
    any_known = bool((networks["shows_a_circle"] >= LEAST_SHOWN).any())
    columns = min(3, max(1, 105 // (max(map(len, groups), default=0) + 5)))  # 105 letters fit, with 5 for each mark
    height = (5.4 if any_known else 2.6) + 0.2 * (len(groups) // columns + 1)
    figure = Figure(figsize=(7.2, height), layout="constrained", facecolor="white")
    title = "How far the reconstructed circle is behind, along its motion"
    none = f"\nNo network shows a circle in {LEAST_SHOWN:.0%} of the frames or more, so there is no lag to draw."
    figure.suptitle(title if any_known else title + none, x=0.01, ha="left", fontsize=10)
    lag, share = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1]) if any_known else (None, figure.subplots())
    beside = 0.12 * np.linspace(-1, 1, len(groups)) if len(groups) > 1 else [0.0]
    looks = zip(groups.items(), beside, ordered_colours(len(groups)), cycle("osD^vPX<>hp"), strict=False)
    for (name, rows), aside, colour, mark in looks:
        members = networks.iloc[rows]
        x = np.array([places.get(gamma, 0) + aside for gamma in members["filtered_with_gamma"]])
        look: dict[str, Any] = {"color": colour, "marker": mark, "linestyle": "none", "markersize": 5}
        share.plot(x, members["shows_a_circle"], label=name or "this sweep", **look)
        if lag is not None:
            known = (members["shows_a_circle"] >= LEAST_SHOWN).to_numpy()
            lag.plot(x[known], members["lag"][known], **look)
            lag.vlines(x[known], members["low"][known], members["high"][known], color=colour, linewidth=1)
    if lag is not None:
        _label_lag(lag, networks["motion_per_frame"].mean())
    _label_share(share, names)
    if any(groups):
        figure.legend(loc="outside lower left", ncols=columns, fontsize=8, frameon=False)
    return figure


def _group(subject: Network, among: Mapping[str, Collection[Any]]) -> str:
    """Return the settings that distinguish a network from others, except for γ and the seed."""
    told = {field: value for field, value in subject.settings.items() if field not in ("gamma", "seed")}
    name = setting(told, among)
    return f"original, {name or subject.name}" if subject.state == "original" else name


def _label_lag(lag: Axes, motion: float) -> None:
    lag.axhline(0, color="0.3", linewidth=0.8)
    lag.axhline(motion, color="0.3", linewidth=0.8, linestyle=(0, (5, 2)))
    _note(lag, motion, "mean motion\nin one frame")
    lag.set_ylabel("lag (pixels of the 32×32 picture)\nmedian and 95% interval over videos", fontsize=8)
    _finish(lag)


def _label_share(share: Axes, names: Sequence[str]) -> None:
    share.set_ylabel("share of frames\nthat show a circle", fontsize=8)
    share.set(ylim=(-0.04, 1.04), xlim=(-0.5, len(names) - 0.5))
    share.axhline(LEAST_SHOWN, color="0.3", linewidth=0.8, linestyle=(0, (1, 1.5)))
    _note(share, LEAST_SHOWN, "of fewer, no\nlag is drawn")
    share.set_xticks(range(len(names)), names)
    share.set_xlabel(symbol("gamma"))
    _finish(share)


def _finish(panel: Axes) -> None:
    panel.tick_params(labelsize=8)
    frame(panel)


def _note(panel: Axes, height: float, text: str) -> None:
    """Explain a horizontal line to the right of it, where there are no points."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    panel.annotate(text, (1, height), (4, 0), ha="left", va="center", fontsize=7.5, color="0.3", **place)
