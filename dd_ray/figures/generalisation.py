"""Errors of networks at positions that they have never seen: `python analysis/generalisation.py PATH`.

- `generalisation.png`: the error of held-out and of seen data over the share that was trained on, a panel for each
  kind of split and each combination of further settings; seeds are points, the line is their mean.
- `generalisation_positions.png`: for cells with held-out levels, the reconstruction error of still pictures over the
  positions of the circle and of the background, x to the right and y down as in the pictures, averaged over seeds and
  over trained positions of the other; levels that were held out are marked on the axes.

Trials that have not finished are left out. The sweep may be of any model, with --split and --train-share; the error is
that of factors if no trial reconstructs pictures.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dd_ray import results
from dd_ray.command_line import Format, optional, positional
from dd_ray.config.labels import parts_of
from dd_ray.config.options import field_named
from dd_ray.config.symbols import setting, values_of
from dd_ray.data import FACTORS, Levels, make_dataset
from dd_ray.data.split import NUM_INTERVALS
from dd_ray.errors import UserError
from dd_ray.evaluation import still_errors
from dd_ray.figures.common import BLUE, VERMILION, folder_of, frame, label_logarithms, run_command, write
from dd_ray.metrics import REPORTED
from dd_ray.probes.networks import Network, load_networks
from dd_ray.results.cells import places_of
from dd_ray.results.table import finished

HELD_OUT, SEEN = VERMILION, BLUE
MAPS = {"circle": ("circle_x", "circle_y"), "background": ("background_x", "background_y")}
PICTURES = 8_192
"""Number of pictures of a map, which are distributed over its positions."""
MOST_ROWS = 10
"""The most rows of the figure of positions; its table has all cells."""
NOT_SETTINGS = ("split", "train_share", "num_test", "seed")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[str, positional("PATH")]
    """Folder of a sweep, such as results/generalisation_quick."""
    out: Annotated[Path | None, optional("FOLDER")] = None
    """Folder to write to; `figures` in the sweep's folder where it is not given."""
    format: Format = "png"
    """Format of the figures: pdf and svg are for a paper, and hold text as text."""


@dataclass(frozen=True)
class Positions:
    """Errors over the positions of one thing, for networks that differ in their seed alone."""

    thing: str
    levels: tuple[Levels, Levels]
    """Levels along x and along y."""
    errors: NDArray[np.float64]
    """Errors [x, y], averaged over seeds and over trained positions of the other thing."""


def finished_trials(path: str | Path) -> pd.DataFrame:
    """Load the finished trials of a sweep with a split; of one that has been extended in part, those that got furthest.

    Raises:
        UserError: there are none.
    """
    trials = results.final(results.load(path))
    trials = trials[trials["split"] != "none"]
    ended = finished(trials).reset_index(drop=True)
    if ended.empty:
        splits = "levels, samples or combinations"
        raise UserError(f"{path} has no finished trial with held-out data; run a sweep with --split {splits}.")
    if len(ended) < len(trials):
        print(f"left out, not finished: {len(trials) - len(ended)} of {len(trials)} trials", file=sys.stderr)
    return ended


def curves(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each setting, share and part (held out or seen), with the mean error and the number of seeds."""
    settings = _swept(trials)
    identity, errors = [*settings, "split", "train_share", "seed"], _errors(trials)
    placed = _with_places(trials, settings)
    long = placed[[*identity, *errors]].melt(identity, errors, "part", "error").dropna(subset="error")
    long["part"] = np.where(long["part"].str.endswith("_seen"), "seen", "held out")
    keys = [*settings, "split", "train_share", "part"]
    return long.groupby(keys, as_index=False, sort=False, dropna=False).agg(
        error=("error", "mean"), lowest=("error", "min"), highest=("error", "max"), seeds=("error", "size")
    )


def _swept(trials: pd.DataFrame) -> list[str]:
    """Return the fields beside split, share and seed that distinguish trials."""
    named = dict.fromkeys(field_named(name) for label in trials["label"] for name in parts_of(label))
    return [f for f in named if f and f not in NOT_SETTINGS and trials[f].nunique(dropna=False) > 1]


def _with_places(trials: pd.DataFrame, settings: Sequence[str]) -> pd.DataFrame:
    """Replace the values of settings by those of the trials' places, which tell not given from without effect."""
    columns = zip(*places_of(trials, settings), strict=True)
    return trials.assign(
        **{name: pd.Series([*of], trials.index, object) for name, of in zip(settings, columns, strict=True)}
    )


def _errors(trials: pd.DataFrame) -> list[str]:
    names = [name for name in ("reconstruction_error", "factor_error") if name in trials and trials[name].notna().any()]
    return [names[0], f"{names[0]}_seen"]


def draw_curves(trials: pd.DataFrame) -> Figure:
    """Draw held-out and seen errors over the share that was trained on."""
    rows = curves(trials)
    keys = [*_swept(trials), "split"]
    among = {name: rows[name].dropna().unique() for name in keys}
    groups = list(rows.groupby(keys, sort=False, dropna=False))
    size = (min(len(groups), 4), -(-len(groups) // 4))
    figure = Figure(figsize=(3.4 * size[0] + 0.6, 3.0 * size[1] + 0.7), layout="constrained", facecolor="white")
    panels = figure.subplots(size[1], size[0], squeeze=False, sharex=True, sharey=True)
    for panel, (values, group) in zip(panels.flat, groups, strict=False):
        _draw_parts(panel, group)
        *others, split = values
        named: dict[str, Any] = dict(zip(keys[:-1], others, strict=True))
        told = setting({name: value for name, value in named.items() if not pd.isna(value)}, among)
        panel.set_title("\n".join(filter(None, [f"share of the {split}", told])), fontsize=9)
    for panel in panels.flat[len(groups) :]:
        panel.axis("off")
    for panel in panels[-1]:
        panel.set_xlabel("share that was trained on", fontsize=8.5)
    for panel in panels[:, 0]:
        panel.set_ylabel(REPORTED[_errors(trials)[0]].label, fontsize=8.5)
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=8)
    return figure


def _draw_parts(panel: Axes, group: pd.DataFrame) -> None:
    for part, colour, mark in (("held out", HELD_OUT, "o-"), ("seen", SEEN, "s--")):
        line = group[group["part"] == part].sort_values("train_share")
        beside = [line["error"] - line["lowest"], line["highest"] - line["error"]]
        style: dict[str, Any] = {"color": colour, "markersize": 4.5, "linewidth": 1.3, "capsize": 2}
        label = part if line["seeds"].max() == 1 else f"{part}, mean and range of seeds"
        panel.errorbar(line["train_share"], line["error"], beside, fmt=mark, label=label, **style)
    panel.set(yscale="log", xlim=(0, 1.05))
    label_logarithms(panel.yaxis)
    panel.tick_params(labelsize=8)
    frame(panel)


def positions_of(subjects: Sequence[Network]) -> list[Positions]:
    """Compute the maps of networks that differ in their seed alone."""
    known = make_dataset(subjects[0].config).levels()
    middles = ((np.arange(NUM_INTERVALS) + 0.5) / NUM_INTERVALS).astype(np.float32)
    levels = {name: known.get(name, Levels(middles, np.ones(NUM_INTERVALS, bool))) for name in FACTORS}
    maps = []
    for thing, axes in MAPS.items():
        x, y = (levels[axis] for axis in axes)
        factors = pictures_of(levels, axes)
        errors = np.mean([still_errors(subject.model, factors) for subject in subjects], axis=0, dtype=np.float64)
        maps.append(Positions(thing, (x, y), errors.reshape(len(x.values), len(y.values), -1).mean(axis=-1)))
    return maps


def pictures_of(levels: Mapping[str, Levels], axes: tuple[str, str]) -> NDArray[np.float32]:
    """Return factors [X · Y · n, F]: all positions along two axes, each with n trained positions of other factors."""
    x, y = (levels[axis].values for axis in axes)
    repeats = max(1, PICTURES // (len(x) * len(y)))
    rng = np.random.default_rng(0)
    shape = (len(x), len(y), repeats)
    columns = {name: rng.choice(at.values[at.trained], shape) for name, at in levels.items() if name not in axes}
    columns |= {axes[0]: np.broadcast_to(x[:, None, None], shape), axes[1]: np.broadcast_to(y[:, None], shape)}
    return np.stack([columns[name] for name in FACTORS], axis=-1).reshape(-1, len(FACTORS)).astype(np.float32)


def draw_positions(cells: Sequence[tuple[str, list[Positions]]]) -> Figure:
    """Draw a row for each cell with its maps, on one logarithmic scale, with held-out levels marked on the axes."""
    lowest, highest = (f([f(m.errors) for _, maps in cells for m in maps]) for f in (np.min, np.max))
    norm = LogNorm(max(lowest, 1e-8), max(highest, 1.01e-8))
    spacing = ConstrainedLayoutEngine(w_pad=0.11, h_pad=0.09)  # room for the marks
    figure = Figure(figsize=(7.2, 2.7 * len(cells) + 1.2), layout=spacing, facecolor="white")
    panels = figure.subplots(len(cells), len(MAPS), squeeze=False)
    for row, (name, maps) in zip(panels, cells, strict=True):
        for panel, positions in zip(row, maps, strict=True):
            _draw_map(panel, positions, norm)
        row[0].set_ylabel(f"{name}\n\ncircle y", fontsize=8)
    bar = figure.colorbar(ScalarMappable(norm, "viridis"), ax=panels, aspect=15 * len(cells))
    bar.set_label("mean squared error per pixel (logarithmic)", fontsize=8)
    label_logarithms(bar.ax.yaxis)
    bar.ax.tick_params(labelsize=7)
    mark = Line2D([], [], color=HELD_OUT, marker="v", linestyle="none", markersize=5, label="held-out level")
    figure.legend(handles=[mark], loc="outside lower left", fontsize=8, frameon=False)
    figure.suptitle("Reconstruction errors over positions", x=0.01, ha="left", fontsize=10)
    return figure


def _draw_map(panel: Axes, positions: Positions, norm: LogNorm) -> None:
    x, y = positions.levels
    panel.imshow(positions.errors.T, norm=norm, cmap="viridis", aspect="auto")
    style: dict[str, Any] = {"color": HELD_OUT, "linestyle": "none", "markersize": 4, "clip_on": False}
    panel.set(xlim=(-0.5, len(x.values) - 0.5), ylim=(len(y.values) - 0.5, -0.5))
    out_x, out_y = np.flatnonzero(~x.trained), np.flatnonzero(~y.trained)
    above, beside = panel.get_xaxis_transform(), panel.get_yaxis_transform()  # one coordinate is a share of the axis
    marks = panel.plot(out_x, np.full(len(out_x), 1.03), marker="v", transform=above, **style)
    marks += panel.plot(np.full(len(out_y), 1.03), out_y, marker="<", transform=beside, **style)
    for line in marks:
        line.set_in_layout(False)
    for axis, levels in ((panel.xaxis, x), (panel.yaxis, y)):
        ends = [0, len(levels.values) - 1]
        axis.set_ticks(ends, [f"{levels.values[end]:.2g}" for end in ends])
    panel.set_xlabel(f"{positions.thing} x", fontsize=8)
    panel.set_ylabel(f"{positions.thing} y", fontsize=8)
    panel.tick_params(labelsize=7, length=2)
    panel.spines[:].set_visible(False)


def positions_table(name: str, maps: Sequence[Positions]) -> pd.DataFrame:
    """Return a row for each position: its place, how many of its two coordinates were held out, and its error."""
    parts = []
    for positions in maps:
        x, y = positions.levels
        i, j = (place.ravel() for place in np.indices(positions.errors.shape))
        columns = {
            "name": name,
            "over": positions.thing,
            "x": x.values[i],
            "y": y.values[j],
            "held_out": (~x.trained[i]).astype(int) + (~y.trained[j]).astype(int),
            "error": positions.errors.ravel(),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def _by_setting(subjects: Sequence[Network]) -> dict[str, list[Network]]:
    """Group the networks with held-out levels and a decoder by setting, over their seeds."""
    groups: dict[str, list[Network]] = {}
    among = values_of([subject.settings for subject in subjects])
    for subject in subjects:
        if subject.config.split == "levels" and subject.config.traits.draws:
            told = {
                name: value for name, value in subject.settings.items() if name not in ("seed", "split", "num_test")
            }
            groups.setdefault(setting(told, among) or subject.name, []).append(subject)
    return groups


def write_generalisation(options: Options) -> list[Path]:
    """Draw both figures, if there are trials for them, and write them and the numbers behind them.

    Raises:
        UserError: there is no such sweep, no finished trial with a split, or the folder cannot be written.
    """
    trials = finished_trials(options.path)
    figures, tables = {"generalisation": draw_curves(trials)}, {"generalisation": curves(trials)}
    subjects, _ = load_networks(options.path, trials)
    subjects = [subject for subject in subjects if subject.config.is_of_one_circle]  # the maps are of its places
    maps = [(name, positions_of(group)) for name, group in _by_setting(subjects).items()]
    if maps:
        if len(maps) > MOST_ROWS:
            print(f"positions of {MOST_ROWS} of {len(maps)} cells are drawn; the table has all", file=sys.stderr)
        figures["generalisation_positions"] = draw_positions(maps[:MOST_ROWS])
        tables["generalisation_positions"] = pd.concat([positions_table(*each) for each in maps], ignore_index=True)
    return write(folder_of(options.path, options.out), figures, tables)


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw the errors of a sweep's held-out and seen data into a folder; see `write_generalisation`."""
    return write_generalisation(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw the errors of held-out and of seen data, and over positions. Prints the files that it writes."""
    run_command(Options, write_generalisation, main.__doc__, args)
