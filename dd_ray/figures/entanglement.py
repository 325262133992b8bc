"""Which latent follows which factor: `python analysis/entanglement.py results/beta_grid_quick --cells best:linear_r2`.

The figures of the original study's notebook (github.com/zahariaa/disentangled-dynamics), for any network. Each factor
is swept over 16 values from 0 to 1 with the others at 0.5, the pictures are encoded, and each row of the figure is a
network:

- a panel for each factor with the response of each latent's mean to each factor, all rows on one scale;
- the squared correlation of each factor with each latent, within the sweep of that factor;
- the squared correlation of the latents with each other, over all pictures.

Above each row are the two numbers of the notebook: the mean of (corr(z_i, z_j) − 1{i = j})², and the mean of corr(f,
z_j)² over factors and latents. The latter is not a score: a perfect encoder has the lowest value. For other factors
than the original's four there is nothing to compare them with, and a shape is swept over its three values. Correlations
do not depend on the size of a response, so latents that are not active (variance over pictures of random factors at
most 0.01) are drawn in grey, named in brackets and left white in the matrices. The table has the standard deviation of
every response.

A video model is shown still videos, with factors that are constant in time. In these the filter of `inertia_vae` is at
rest from the first frame on, so its latent is the encoder's own at any γ (`dd_ray.evaluation.encode_stills`).

Supervised decoders are left out, since they encode nothing, and so are networks of arrays, since files have no pictures
of swept factors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dd_ray.config import DATASETS
from dd_ray.config.symbols import setting, symbol
from dd_ray.evaluation import encode_stills
from dd_ray.figures.common import LINES, figures_of_rows, folder_of, frame, ordered_colours, run_command, write
from dd_ray.figures.networks import NetworkOptions, subjects_of, suitable
from dd_ray.metrics import (
    active_mask,
    mean_squared_cross_correlation,
    mean_squared_sweep_correlation,
    notebook_sweeps,
)
from dd_ray.metrics.arrays import correlations
from dd_ray.probes.networks import Network

NUM_RANDOM = 1_000
"""Number of pictures of random factors over which a latent must vary to be active."""
INACTIVE = "0.65"
"""Grey of the lines of latents that are not active."""
MOST_WITH_NUMBERS = 6
"""The most latents with which numbers are written into a matrix."""
SCALE, COLOURS = Normalize(0, 1), "cividis"
WIDTH, HEIGHT = 10.6, 1.95
LEGEND_COLUMNS = 6


@dataclass(frozen=True)
class Entanglement:
    """The responses of a network's latents to sweeps of each factor."""

    subject: Network
    responses: NDArray[np.float32]
    """[F, S, L] latents, as `notebook_sweeps` orders the pictures."""
    active: NDArray[np.bool_]
    """[L] whether each latent varies over pictures of random factors."""

    @classmethod
    def of(cls, subject: Network) -> "Entanglement":
        """Compute a network's responses to the sweeps."""
        num_factors = len(subject.config.factor_names)
        sweeps = notebook_sweeps(num_factors)
        responses = encode_stills(subject.model, subject.config, sweeps.reshape(-1, num_factors))
        random = np.random.default_rng(0).random((NUM_RANDOM, num_factors))
        active = active_mask(encode_stills(subject.model, subject.config, random))
        return cls(subject, responses.reshape(*sweeps.shape[:2], -1), active)

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the factors."""
        return self.subject.config.factor_names

    @property
    def names(self) -> list[str]:
        """Names of the latents, in brackets if they are not active."""
        plain = [f"z$_{{{i}}}$" for i in range(len(self.active))]
        return [name if active else f"({name})" for name, active in zip(plain, self.active, strict=True)]

    def with_factors(self) -> NDArray[np.floating]:
        """Return the correlation [F, L] of each factor with each latent within the factor's sweep."""
        swept = np.linspace(0, 1, self.responses.shape[1])[:, None]
        return np.stack([correlations(response, swept)[:, 0] for response in self.responses])

    def with_each_other(self) -> NDArray[np.floating]:
        """Return the correlation [L, L] of the latents over all sweeps."""
        flat = self.responses.reshape(-1, self.responses.shape[-1])
        return correlations(flat, flat)

    def numbers(self) -> dict[str, Any]:
        """Return a row of the table of numbers."""
        subject = self.subject
        return {
            **{"name": subject.name, "key": subject.key, "state": subject.state, "iteration": subject.iteration},
            **subject.settings,
            "mean_squared_cross_correlation": mean_squared_cross_correlation(self.responses),
            "mean_squared_sweep_correlation": mean_squared_sweep_correlation(self.responses),
            "active_latents": int(self.active.sum()),
            "mean_squared_cross_correlation_of_active": mean_squared_cross_correlation(self.responses, self.active),
            "mean_squared_sweep_correlation_of_active": mean_squared_sweep_correlation(self.responses, self.active),
        }


def draw(shown: Sequence[Entanglement], limits: tuple[float, float], title: str) -> Figure:
    """Draw a figure with a row of panels for each network, and responses on a common scale from `limits`."""
    most = max(len(one.active) for one in shown)  # number of latents; each has the same colour in all rows
    spacing = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01)
    figure = Figure(
        figsize=(WIDTH, len(shown) * HEIGHT + _rest(most)),
        layout=spacing,
        facecolor="white",
    )
    figure.suptitle(title, x=0.005, ha="left", fontsize=10)
    rows = figure.subfigures(len(shown), 1, squeeze=False, hspace=0.04)[:, 0]
    for row, one in zip(rows, shown, strict=True):
        row.suptitle(_caption(one), x=0.005, ha="left", fontsize=8.5)
        num_factors = len(one.factor_names)
        panels = row.subplots(1, num_factors + 2, width_ratios=[1] * num_factors + [1.15, 1.15])
        for i, panel in enumerate(panels[:num_factors]):
            _draw_responses(panel, one, i, limits, most)
        every_factor, names = np.ones(num_factors, bool), [_short(name) for name in one.factor_names]
        _draw_matrix(panels[-2], one.with_factors() ** 2, (names, one.names), (every_factor, one.active))
        panels[-2].set_title("factor · latent, $r^2$", fontsize=8)
        _draw_matrix(panels[-1], one.with_each_other() ** 2, (one.names, one.names), (one.active, one.active))
        panels[-1].set_title("latent · latent, $r^2$", fontsize=8)
        bar = row.colorbar(ScalarMappable(SCALE, COLOURS), ax=panels[-2:], fraction=0.05, pad=0.02, ticks=[0, 0.5, 1])
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)  # type: ignore[operator]
    _draw_legend(figure, most)
    return figure


def _rest(num_latents: int) -> float:
    """Return the inches that the title and the legend of a figure take."""
    return 0.6 + 0.2 * (num_latents // LEGEND_COLUMNS + 1)


def _caption(one: Entanglement) -> str:
    numbers = one.numbers()
    name = setting(one.subject.settings) or one.subject.name
    notes = {
        "original": f"original study, {one.subject.config.traits.title}",
        "finished": "",
    }
    note = notes.get(one.subject.state, f"{one.subject.state.replace('_', ' ')} at {one.subject.iteration}")
    cross, sweep = (numbers[f"mean_squared_{which}_correlation"] for which in ("cross", "sweep"))
    head = ", ".join(filter(None, [name, note]))
    return f"{head}:  mean (corr(z, z) − I)² = {cross:.3g},  mean sweep $r^2$ = {sweep:.3g}"


def _draw_responses(panel: Axes, one: Entanglement, factor: int, limits: tuple[float, float], most: int) -> None:
    response = one.responses[factor]
    swept = np.linspace(0, 1, len(response))
    order = np.argsort(one.active, kind="stable")  # active ones above the others
    for latent in order.tolist():
        panel.plot(swept, response[:, latent], **_line(latent, most, bool(one.active[latent])))
    panel.set(xlim=(0, 1), ylim=limits, xticks=[0, 0.5, 1], xticklabels=["0", ".5", "1"])
    panel.set_xlabel(symbol(one.factor_names[factor]), fontsize=8)
    panel.tick_params(labelsize=7, labelleft=factor == 0)
    if factor == 0:
        panel.set_ylabel("latent mean", fontsize=8)
    frame(panel)


def _line(latent: int, num_latents: int, active: bool) -> dict[str, Any]:
    colour: Any = ordered_colours(num_latents)[latent] if active else INACTIVE
    return {"color": colour, "linestyle": LINES[latent % len(LINES)], "linewidth": 1.6 if active else 1.0}


def _draw_matrix(
    panel: Axes,
    squares: NDArray[np.floating],
    names: tuple[Sequence[str], Sequence[str]],
    active: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> None:
    """Draw squared correlations as colours, white where row or column is not active; names and activity of both."""
    in_use = np.outer(*active)
    panel.imshow(squares, norm=SCALE, cmap=COLOURS, aspect="auto", alpha=in_use.astype(float))
    panel.set_yticks(range(len(names[0])), names[0])
    panel.set_xticks(range(len(names[1])), names[1], rotation=0 if len(names[1]) <= MOST_WITH_NUMBERS else 90)
    panel.tick_params(length=0, labelsize=7)
    panel.spines[:].set_visible(False)
    if squares.shape[1] > MOST_WITH_NUMBERS:
        return
    for (i, j), value in np.ndenumerate(squares):
        ink = "0.45" if not in_use[i, j] else "white" if value < 0.5 else "black"
        text = f"{value:.2f}".removeprefix("0")
        panel.text(j, i, text, ha="center", va="center", fontsize=6.5, color=ink)


def _draw_legend(figure: Figure, num_latents: int) -> None:
    handles = [Line2D([], [], label=f"z$_{{{i}}}$", **_line(i, num_latents, True)) for i in range(num_latents)]
    label = "(z): not active, variance ≤ 0.01; white in the matrices"
    handles.append(Line2D([], [], color=INACTIVE, linewidth=1, label=label))
    look = {"fontsize": 8, "frameon": False, "handlelength": 2.6, "columnspacing": 1.4}
    figure.legend(handles=handles, loc="outside lower left", ncols=min(len(handles), LEGEND_COLUMNS), **look)


def _short(factor: str) -> str:
    return symbol(factor.replace("background", "backgr.").removeprefix("sprite_"))


def tables(shown: Sequence[Entanglement]) -> dict[str, pd.DataFrame]:
    """Return the numbers behind the figures: each network's two numbers, its responses, and its correlations."""
    responses, pairs = [], []
    for one in shown:
        name, latents = one.subject.name, range(len(one.active))
        swept = np.linspace(0, 1, one.responses.shape[1])
        with_factors, with_each_other, spread = one.with_factors(), one.with_each_other(), one.responses.std(axis=1)
        for f, factor in enumerate(one.factor_names):
            responses += [
                {"name": name, "factor": factor, "value": value, "latent": z, "response": one.responses[f, s, z]}
                for s, value in enumerate(swept)
                for z in latents
            ]
            pairs += [
                {"name": name, "of": factor, "with": f"z{z}", "correlation": with_factors[f, z],
                 "response_std": spread[f, z], "active": one.active[z]}
                for z in latents
            ]  # fmt: skip
        pairs += [
            {"name": name, "of": f"z{i}", "with": f"z{z}", "correlation": with_each_other[i, z],
             "response_std": math.nan, "active": one.active[i] and one.active[z]}
            for i in latents
            for z in latents
        ]  # fmt: skip
    return {
        "entanglement": pd.DataFrame([one.numbers() for one in shown]),
        "entanglement_responses": pd.DataFrame(responses),
        "entanglement_correlations": pd.DataFrame(pairs),
    }


def write_entanglement(options: NetworkOptions) -> list[Path]:
    """Draw what latents make of the factors, and write the figures and the numbers behind them.

    Returns:
        The figures, and then the tables.

    Raises:
        UserError: there is no such sweep, trial or checkpoint, none encodes, or the folder cannot be written.
    """
    subjects = suitable(
        subjects_of(options.path, options.cells, options.original, all_seeds=False),
        lambda subject: subject.config.traits.encodes,
        "a supervised decoder encodes nothing",
    )
    subjects = suitable(
        subjects,
        lambda subject: DATASETS[subject.config.dataset].drawn,
        "the arrays of a file have no pictures of swept factors",
    )
    folder = folder_of(options.path, options.out)
    shown = [Entanglement.of(subject) for subject in subjects]
    low, high = (float(f([f(one.responses) for one in shown])) for f in (np.min, np.max))
    room = 0.05 * (high - low) or 1.0
    title = "Response of the latents to each factor, the others at 0.5"
    parts = figures_of_rows("entanglement", shown, lambda _: HEIGHT, _rest(max(len(one.active) for one in shown)))
    figures = {name: draw(rows, (low - room, high + room), title) for name, rows in parts.items()}
    return write(folder, figures, tables(shown))


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw how the latents of a sweep's networks follow factors into a folder; see `write_entanglement`."""
    return write_entanglement(NetworkOptions(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw how each latent responds to each factor, and how they correlate. Prints the files that it writes."""
    run_command(NetworkOptions, write_entanglement, main.__doc__, args)
