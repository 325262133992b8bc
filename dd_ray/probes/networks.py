"""Loads trained networks: those of a sweep's trials, and the original study's checkpoints.

Everything that needs more than recorded metrics begins here: `choose` finds trials in a sweep's table, `load_model` and
`load_networks` load their latest states, and `load_originals` the original's checkpoints.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dd_ray import results
from dd_ray.config import TrialConfig
from dd_ray.config.labels import parts_of
from dd_ray.config.options import field_named
from dd_ray.errors import UserError, did_you_mean
from dd_ray.metrics import described
from dd_ray.models import Model, build_model, load_original
from dd_ray.models.supervised_encoder import SupervisedEncoder
from dd_ray.results.cells import in_order
from dd_ray.results.layout import NOT_GIVEN
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.training import Trial, TrialState
from dd_ray.trial.states import latest_state

_SHORTEST_KEY = 4


@dataclass(frozen=True, kw_only=True)
class Network:
    """A trained network with the weights of its latest state, and its description for figures."""

    name: str
    """Label of the trial, or name of the checkpoint's file."""
    settings: Mapping[str, Any]
    """The config fields that distinguish it from the others, with their values, `NOT_GIVEN` among them; in a sweep, the
    seed is one of them."""
    config: TrialConfig
    model: Model
    state: str
    """State of the trial in the table of results, or `original`."""
    key: str | None = None
    iteration: int | None = None
    """Number of batches that it has learned from; None for the original's networks."""
    lost_seeds: tuple[str, ...] = ()
    """States of the chosen trials that differ from it in their seed alone and have no usable network."""

    @property
    def cell(self) -> tuple[tuple[str, Any], ...]:
        """What it shares with the networks that differ from it in their seed alone."""
        return _without_seed(self.settings)


def choose(table: pd.DataFrame, selection: Sequence[str]) -> pd.DataFrame:
    """Return the trials of a sweep that a selection names, each at its last evaluation, in the selection's order.

    Those that one word names are sorted by the values of the settings, numbers by size, and by seed.

    A selection is a list of words. A word names all trials that fit all of its comma-separated parts: `FIELD=VALUE`
    with a config field as on the command line (`lambda=100`), or (part of) a key. One part may be `best:METRIC`,
    `min:METRIC` or `max:METRIC`, which chooses one of the trials that fit the other parts. It ranks only finished
    trials if there are any; for scores that are better when higher, it leaves out collapsed trials, which could win
    without having learned anything.

    Args:
        table: a table as `dd_ray.results.table.load` returns it.
        selection: words as above; an empty selection names all trials.

    Raises:
        UserError: a word is of none of these forms, or no trial fits it; or the selection is a text.
    """
    if isinstance(selection, str):
        raise UserError(f"selection = {selection!r} is text; give a list of words, such as [{selection!r}].")
    trials = in_order(results.final(table))
    chosen = [_matching(trials, word) for word in selection] or [trials]
    return pd.concat(chosen).drop_duplicates("key").reset_index(drop=True)


def load_model(path: str | Path, key: str) -> Network:
    """Load the network of a sweep's trial, with the weights of its latest state.

    Its layers are PyTorch's, in place of those that train faster, so that it can be exported, traced and differentiated
    by `torch.func`.

    Args:
        path: folder or URL of the sweep.
        key: the trial's key, or its first digits, as in a selection of `choose`.

    Raises:
        UserError: there is no such sweep or trial, or the trial's states are missing or damaged.
    """
    sweep = SweepFolder.open(path)
    key = _whole_key(sweep, path, key)
    folder = sweep.trial(key)
    state, notes = latest_state(folder)
    if state is None:
        why = f": {notes[0]}" if notes else " yet; choose one that has been evaluated."
        raise UserError(f"trial {key} of {path} has no trained network{why}")
    outcome = folder.outcome()
    row = {"key": key, "label": folder.describe()["label"], "state": outcome.state if outcome else "unfinished"}
    network = _network(state, row, {})
    model = build_model(network.config)
    model.load_state_dict(network.model.state_dict())
    return replace(network, model=model.eval())


def _whole_key(sweep: SweepFolder, path: str | Path, key: str) -> str:
    """Return the key of the one trial whose key begins with these digits."""
    if not isinstance(key, str):
        raise UserError(f"a key is text, and not of type {type(key).__name__}; give that of a row, row['key'].")
    keys = {trial.key for trial in sweep.trials()}
    found = [each for each in keys if each == key or (len(key) >= _SHORTEST_KEY and each.startswith(key))]
    if len(found) > 1:
        raise UserError(f"{len(found)} trials of {path} have keys that begin with {key}; give more digits.")
    if not found:
        listing = shlex.join(["python", "-m", "dd_ray.results", str(path)])
        raise UserError(f"{path} has no trial of key {key!r}; `{listing}` lists its trials.")
    return found[0]


def load_networks(path: str | Path, trials: pd.DataFrame) -> tuple[list[Network], dict[str, str]]:
    """Load the networks of chosen trials, as far as they have a usable one.

    Args:
        path: folder or URL of the sweep.
        trials: rows of `choose`.

    Returns:
        The networks, in the order of the rows; and the states of trials without a usable one, by label: those that were
        never evaluated, or whose weights are not finite.

    Raises:
        UserError: no trial has a network, or a state is damaged; or `trials` is no table.
    """
    if not isinstance(trials, pd.DataFrame):
        kind = type(trials).__name__
        raise UserError(f"trials are rows of a table, and not of type {kind}; give those of choose, or rows.iloc[[0]].")
    sweep, networks, left_out = SweepFolder.open(path), [], {}
    # A label also names fields with the same value in all trials, which distinguish none.
    alike = {name for name, values in sweep.manifest()["axes"].items() if len(values) == 1} - {"seed"}

    def settings_of(row: Mapping[Any, Any]) -> dict[str, Any]:
        names = [field_named(name) for name in parts_of(row["label"])]
        return {name: _given(row[name]) for name in names if name and name not in alike}

    def load(row: Mapping[Any, Any]) -> Network | None:
        return usable_network(sweep.trial(row["key"]), row, settings_of(row))

    rows = trials.to_dict("records")
    lost: dict[tuple[tuple[str, Any], ...], tuple[str, ...]] = {}
    for row, network in zip(rows, in_parallel(load, rows), strict=True):
        if network is None:
            left_out[row["label"]] = row["state"]
            cell = _without_seed(settings_of(row))
            lost[cell] = (*lost.get(cell, ()), row["state"])
        else:
            networks.append(network)
    if not networks:
        raise UserError(f"none of the {len(trials)} chosen trials of {path} has a trained network; choose others.")
    return [replace(network, lost_seeds=lost.get(network.cell, ())) for network in networks], left_out


def _without_seed(settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((field, value) for field, value in settings.items() if field != "seed")


def _given(value: Any) -> Any:
    """Return a value of a table that equals itself: NaN, where an optional field is not given, does not."""
    return NOT_GIVEN if pd.isna(value) else value


def usable_network(trial: TrialFolder, row: Mapping[Any, Any], settings: Mapping[str, Any]) -> Network | None:
    """Load the network of a trial's latest state; None where it has none, or its weights are not finite.

    Args:
        trial: folder of the trial.
        row: its key, label and state.
        settings: what distinguishes it from others.

    Raises:
        UserError: the state is damaged.
    """
    state, _ = latest_state(trial)
    if state is None or not all(bool(weights.isfinite().all()) for weights in state.weights.values()):
        return None
    return _network(state, row, settings)


def load_originals(path: str | Path) -> list[Network]:
    """Load the original study's trained networks, sorted by β_norm, which the names of their files tell.

    Args:
        path: a checkpoint, a folder of checkpoints, or a folder that has these in `checkpoints`.

    Raises:
        UserError: there is none, or a file in the folder is not a checkpoint.
    """
    path = Path(path)
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    files = sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else [folder]
    files = [file for file in files if file.suffix not in (".npz", ".json", ".md", ".csv", ".png")]
    if not files:
        raise UserError(f"{path} holds no checkpoint of the original study; give the folder of its `..._last_500K`.")
    subjects = [_original(file) for file in files]
    return sorted(subjects, key=lambda subject: (subject.settings.get("beta_norm", -1.0), subject.name))


def _network(state: TrialState, row: Mapping[Any, Any], settings: Mapping[str, Any]) -> Network:
    """Build the network of a state; `row` has the key, the label and the state of its trial."""
    trial = Trial(state.config)
    trial.restore(state)
    return Network(
        name=row["label"],
        settings=settings,
        config=state.config,
        model=trial.model.eval(),
        state=row["state"],
        key=row["key"],
        iteration=state.iteration,
    )


def _original(file: Path) -> Network:
    model = load_original(file)
    told = re.search(r"betanorm=([0-9.]+(?:e-?[0-9]+)?)", file.name)
    settings = {"beta_norm": float(told.group(1))} if told else {}
    if isinstance(model, SupervisedEncoder):
        config = TrialConfig(model="supervised_encoder", dataset="still_circles")
    else:
        # β is unknown if the name does not tell it; the network's outputs do not depend on it.
        beta: dict[str, Any] = settings or {"beta": 0.0}
        config = TrialConfig(model="beta_vae", dataset="still_circles", num_latents=model.num_latents, **beta)
    return Network(name=file.name, settings=settings, config=config, model=model.eval(), state="original")


def _matching(trials: pd.DataFrame, word: str) -> pd.DataFrame:
    ranking = ""
    for part in filter(None, word.split(",")):
        if "=" in part:
            trials = trials[_fits(trials, *part.split("=", 1))]
        elif ":" in part and ranking:
            raise UserError(f"{word!r} ranks trials twice; give {ranking} or {part}, or both in words of their own.")
        elif ":" in part:
            ranking = part
        elif len(part) >= _SHORTEST_KEY and re.fullmatch("[0-9a-f]+", part):
            trials = trials[trials["key"].str.startswith(part)]
        else:
            raise UserError(f"{part!r} names no trials; give parts such as beta=0.1, a key, or best:linear_r2.")
    if trials.empty:
        raise UserError(f"no trial of this sweep fits {word!r}; `python -m dd_ray.results PATH` lists its trials.")
    return _best(trials, ranking) if ranking else trials


def _fits(trials: pd.DataFrame, name: str, text: str) -> "pd.Series[bool]":
    field = field_named(name)
    if field is None:
        raise UserError(f"{name!r} is not a config field, so {name}={text} names no trials.")
    values = trials[field]
    if text.lower() == NOT_GIVEN and values.isna().any():  # labels have None, and figures none
        return values.isna()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values.astype(str) == text
    try:
        # Compared in six digits, as in labels.
        return pd.Series(np.isclose(values.astype(float), float(text), rtol=1e-5, atol=0), index=trials.index)
    except ValueError as error:
        raise UserError(f"{name}={text} names no trials, since {name} is a number.") from error


def _has_text(column: "pd.Series[Any]") -> bool:
    return any(isinstance(value, str) for value in column)


def _best(trials: pd.DataFrame, ranking: str) -> pd.DataFrame:
    how, _, metric = ranking.partition(":")
    if how not in ("best", "min", "max") or metric not in trials or _has_text(trials[metric]):
        by = how if how in ("min", "max") else "best"
        numbers = [str(name) for name in trials if not _has_text(trials[name])]
        ranked = [name for name in numbers if by != "best" or described(name).better]
        form = "give best:METRIC, min:METRIC or max:METRIC, a metric of the table."
        raise UserError(f"{ranking!r} names no trials; {did_you_mean(metric, ranked, form, before=f'{by}:')}")
    better = how if how != "best" else described(metric).better
    if better is None:
        raise UserError(f"{metric} has no better side; give min:{metric} or max:{metric}.")
    if better == "max" and "active_units" in trials:
        trials = trials[trials["active_units"].astype(float) != 0]
    finished = trials[trials["state"] == "finished"]
    values = pd.to_numeric((trials if finished.empty else finished)[metric], errors="coerce").dropna()
    if values.empty:
        collapsed = " and an active unit" if better == "max" else ""
        raise UserError(
            f"no trial that {ranking!r} could choose has a value of {metric}{collapsed}; choose by other parts."
        )
    return trials.loc[[values.idxmin() if better == "min" else values.idxmax()]]
