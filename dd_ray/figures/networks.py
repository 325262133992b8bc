"""The networks that a figure is made of: options that choose them, and what is said of those that are left out."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from dd_ray import results
from dd_ray.command_line import Format, optional, positional
from dd_ray.errors import UserError, printable
from dd_ray.probes.networks import Network, choose, load_networks, load_originals

SELECTION_HELP = """Trials to show, each named by parts of its label (beta=0.1,gamma=0.5), by its key or the first
digits of it, or as the best by a metric (best:linear_r2; min:kl and max:kl where a metric has no better side);
parts are joined by commas, and the best is that of the trials which the other parts leave."""


def trials_option(otherwise: str) -> Any:
    """Return the annotation of `--cells`, with a help text that says what holds if it is not given."""
    return tyro.conf.arg(
        help=f"{SELECTION_HELP} Where none is given, {otherwise}.", metavar="TRIAL [TRIAL ...]", help_behavior_hint=""
    )


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Options that choose networks, and the folder of figures."""

    path: Annotated[str | None, positional("[PATH]")] = None
    """Folder or URL of a sweep, such as results/inertia_grid_quick."""
    cells: Annotated[tuple[str, ...], trials_option("the first seed of all trials")] = ()
    extension: Annotated[tuple[str, ...], optional("FILE.py [FILE.py ...]")] = ()
    """Python files of your own that the sweep was run with; they are run, since networks are made of them."""
    original: Annotated[Path | None, optional("FOLDER")] = None
    """Folder of the original study's checkpoints, or one of them; beside a sweep, or without one."""
    out: Annotated[Path | None, optional("FOLDER")] = None
    """Folder to write to; by default `figures` in the sweep's folder, or in this one if the sweep is at a URL. It must
    be given without a sweep."""
    format: Format = "png"
    """Format of the figures: pdf and svg are for a paper, and hold text as text. Animations are gif."""


def subjects_of(
    path: str | Path | None, selection: Sequence[str], original: Path | None, *, all_seeds: bool
) -> list[Network]:
    """Load the networks that a command line asks for, those of the sweep first.

    It prints on stderr which chosen trials have no network and are left out.

    Args:
        path: folder or URL of a sweep.
        selection: words of `choose`.
        original: see `load_originals`.
        all_seeds: whether to load all seeds of the sweep, and not only the first, if there is no selection.

    Raises:
        UserError: there is nothing to show.
    """
    if path is None and original is None:
        raise UserError("nothing to show; give the folder or URL of a sweep, or --original FOLDER.")
    originals = load_originals(original) if original else []
    if path is None:
        return originals
    trials = choose(results.load(path), selection)
    if not selection and not all_seeds:
        trials = trials[trials["seed"] == trials["seed"].min()]
    trained, left_out = load_networks(path, trials)
    for label, state in left_out.items():
        print(f"left out, without a usable network: {printable(label)} ({state.replace('_', ' ')})", file=sys.stderr)
    return [*trained, *originals]


def suitable(subjects: Sequence[Network], suits: Callable[[Network], bool], otherwise: str) -> list[Network]:
    """Return the networks that a figure can be made of, and print on stderr how many others are left out, and why.

    Args:
        subjects: the networks that were asked for.
        suits: returns whether the figure can be made of a network.
        otherwise: reason if it cannot, such as `a supervised decoder encodes nothing`.

    Raises:
        UserError: none is left.
    """
    kept = [subject for subject in subjects if suits(subject)]
    if not kept:
        raise UserError(f"nothing to show: {otherwise}; choose other networks.")
    if len(kept) < len(subjects):
        print(f"left out, {len(subjects) - len(kept)} of {len(subjects)} networks: {otherwise}", file=sys.stderr)
    return kept
