"""Loads the suggestions of a search as a tidy table, and prints the best of them."""

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from dd_ray.command_line import Column, console, counted, print_table
from dd_ray.config.options import option_name, shown
from dd_ray.errors import UserError
from dd_ray.metrics import REPORTED
from dd_ray.metrics.intervals import seed_interval
from dd_ray.results.table import as_csv
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.names import LOG, SUGGESTIONS
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.checks import ranks
from dd_ray.sweep.search_plan import SearchPlan
from dd_ray.sweep.suggestions import TRIALS, WITH_VALUES, common_iterations, current_trials, read_storage

STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped_early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "unfinished",
}
MOST_PRINTED = 30


def load(path: str | Path) -> pd.DataFrame:
    """Load the suggestions of a search, a row each, in the order in which they were drawn.

    Columns: `suggestion` (its number in Optuna's study), `state` (finished; stopped_early, out_of_time where a seed
    was; failed and diverged likewise, undefined where a seed has no score; unfinished), the drawn fields, `iteration`
    (the last at which all its trials that have started were evaluated), for each objective `NAME`, `NAME_low` and
    `NAME_high` (mean over these trials there, with Student's 95% interval), `seeds` (how many these are), `on_front`
    (whether no finished suggestion is better in one objective and as good in the other; with one objective, the best)
    and `cells` (the keys of its trials, with spaces between).

    Raises:
        UserError: the folder holds no search, or one without suggestions.
    """
    sweep = SweepFolder.open(path)
    search = search_of(sweep)
    study = _study_of(sweep, search)
    rows = [_row(trial, sweep, search) for trial in current_trials(study)]
    if not rows:
        raise UserError(f"{path} holds a search without suggestions; run its command again.")
    best = {trial.number for trial in study.best_trials} if any(row["state"] == "finished" for row in rows) else set()
    table = pd.DataFrame(rows)
    table.insert(len(table.columns) - 1, "on_front", table["suggestion"].isin(best))
    return table


def _study_of(sweep: SweepFolder, search: Mapping[str, Any]) -> optuna.Study:
    try:
        study = optuna.load_study(study_name=search["optuna_study"], storage=read_storage(sweep.folder))
    except KeyError as error:
        raise UserError(f"{sweep.location} has no suggestions yet, or has lost them; run its command again.") from error
    suggested = [asked for asked in study.get_trials(deepcopy=False) if TRIALS in asked.user_attrs]
    if missing := [name for name in search["space"] if any(name not in asked.params for asked in suggested)]:
        raise UserError(
            f"{sweep.location} searches over {missing[0]}, of which a suggestion in its {LOG} has no value; its "
            "sweep.json is that of another search."
        )
    if len(study.directions) != len(search["objectives"]):
        raise UserError(f"{sweep.location} and its {LOG} differ in the number of objectives; run its command again.")
    return study


def as_trained(suggestions: pd.DataFrame, trials: pd.DataFrame, drawn: Collection[str]) -> pd.DataFrame:
    """Return suggestions with the values of their trials: of a drawn field without effect beside others its default.

    Args:
        suggestions: as of `load`.
        trials: as of `dd_ray.results.load`.
        drawn: the drawn fields.
    """
    configs = trials.drop_duplicates("key").set_index("key")[[*drawn]]
    keys = suggestions[TRIALS].str.partition()[0]
    begun = keys.isin(configs.index)
    return suggestions.assign(**{name: keys.map(configs[name]).where(begun, suggestions[name]) for name in drawn})


def best_so_far(table: pd.DataFrame, objective: str) -> "pd.Series[float]":
    """Return the best mean of an objective up to each finished suggestion, by the index of the table of `load`."""
    finished = table.loc[table["state"] == "finished", objective]
    return finished.cummin() if REPORTED[objective].better == "min" else finished.cummax()


def importances(path: str | Path) -> pd.DataFrame:
    """Compute how much of what an objective varies over the drawn ranges is due to each drawn field alone.

    These are Optuna's importances by functional ANOVA of a random forest (Hutter et al. 2014), a column for each
    objective that sums to 1, and a row for each field, its index. They say nothing of the direction, and little of
    few suggestions. Without two finished suggestions that differ in an objective, it has no column.

    Raises:
        UserError: the folder holds no search, or one without suggestions.
    """
    # It brings scikit-learn, which takes longer to begin than all else that a page needs.
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # noqa: PLC0415

    sweep = SweepFolder.open(path)
    search = search_of(sweep)
    study = _study_of(sweep, search)
    fields, found = list(search["space"]), {}
    for place, name in enumerate(search["objectives"]):
        values = {trial.values[place] for trial in study.trials if trial.state == TrialState.COMPLETE}
        if len(values) > 1:
            target = functools.partial(_value_at, place)
            evaluator = FanovaImportanceEvaluator(seed=0)
            shares = get_param_importances(study, evaluator=evaluator, params=fields, target=target)
            found[name] = {field: float(shares[field]) for field in fields}
    return pd.DataFrame(found, index=pd.Index(fields, name="field"))


def _value_at(place: int, trial: FrozenTrial) -> float:
    return float(trial.values[place])


def print_importances(shares: pd.DataFrame) -> None:
    """Print a table of `importances`, unless it is empty."""
    if shares.empty:
        return
    columns = [Column(header="drawn", texts=[option_name(str(field)).replace("-", " ") for field in shares.index])]
    for rank, name in enumerate(map(str, shares), 1):
        texts = [f"{share:.0%}" for share in shares[name]]
        columns.append(Column(header=REPORTED[name].short, texts=texts, rank=rank, name=name))
    print_table(columns, console(), "Importance of what was drawn (functional ANOVA)")


def search_of(sweep: SweepFolder) -> dict[str, Any]:
    """Return the description of the search in a sweep's manifest.

    Raises:
        UserError: the sweep is a grid, or has an objective that is no metric with a better side.
    """
    manifest = sweep.manifest()
    if "search" not in manifest:
        raise UserError(f"{sweep.location} holds a grid and no search; give a folder that a search wrote.")
    search: dict[str, Any] = manifest["search"]
    for name in search["objectives"]:
        if not ranks(name):
            raise UserError(
                f"{sweep.location} searches for the best {name}, of which no better side is known; its sweep.json is "
                "damaged, or of another version."
            )
    return search


def print_best(table: pd.DataFrame, search: dict[str, Any]) -> None:
    """Print the best suggestion, or the Pareto front, with intervals over the seeds."""
    objectives = search["objectives"]
    best = table[table["on_front"]]
    if best.empty:
        print(f"None of {len(table)} suggestions has finished, so none is best.")
        return
    what = "Pareto front" if len(objectives) > 1 else "Best suggestion"
    count = (table["state"] == "finished").sum()
    best = best.sort_values(objectives[0], ascending=REPORTED[objectives[0]].better == "min")
    rows = best.head(MOST_PRINTED).to_dict("records")
    columns = [Column(header="suggestion", texts=[str(row["suggestion"]) for row in rows])]
    for name in search["space"]:
        texts = [shown(row[name], digits=4) for row in rows]
        columns.append(Column(header=option_name(name).replace("-", " "), texts=texts))
    for rank, name in enumerate(objectives, 1):
        texts = [_with_interval(row, name) for row in rows]
        columns.append(Column(header=REPORTED[name].short, texts=texts, rank=rank, name=name))
    print_table(columns, console(), f"{what} of {count} finished suggestions")
    if len(best) > MOST_PRINTED:
        print(f"... and {len(best) - MOST_PRINTED} more.")
    other = f"other seeds, --seed {max(search['seeds']) + 1} and on"
    print(f"The best of many is flattered by its luck: train it again with {other}, before you believe its numbers.")


class SuggestionsCameOut:
    """The results of a search. Its suggestions are written to `suggestions.csv`."""

    def __init__(self, plan: SearchPlan, sweep: SweepFolder, table: pd.DataFrame) -> None:
        self._plan, self._sweep = plan, sweep
        self._suggestions, self._table = load(sweep.location), table
        sweep.write_result(SUGGESTIONS, as_csv(self._suggestions))
        self.keys = {key for keys in self._suggestions[TRIALS] for key in keys.split()}

    def print_more(self, trials: pd.DataFrame) -> None:
        """Print the best suggestions, and the path of the table of all."""
        search = search_of(self._sweep)
        print_best(as_trained(self._suggestions, self._table, search["space"]), search)
        print(f"Suggestions: {sweep_location(self._sweep.location, SUGGESTIONS)}")
        print(f"Optuna:      optuna-dashboard {sweep_location(self._sweep.location, LOG)}", flush=True)

    def left(self, trials: pd.DataFrame) -> str:
        """Count the suggestions that were interrupted, or never made."""
        unfinished = int((self._suggestions["state"] == "unfinished").sum())
        left = max(0, self._plan.options.suggestions - len(self._suggestions)) + unfinished
        return counted(left, "suggestion") if left else ""


def _row(trial: FrozenTrial, sweep: SweepFolder, search: dict[str, Any]) -> dict[str, Any]:
    folders = [sweep.trial(key) for key in trial.user_attrs[TRIALS]]
    # Outcomes are read first, since they are written last.
    ends = {outcome.state for outcome in (folder.outcome() for folder in folders) if outcome}
    started = [
        rows for rows in (_until(folder.sound_evaluations(), search["iterations"]) for folder in folders) if rows
    ]
    iterations = common_iterations(started) if started else []
    last = iterations[-1] if iterations else math.nan
    at_last = [row for rows in started for row in rows if row["iteration"] == last]
    if trial.state == TrialState.COMPLETE and ends <= WITH_VALUES:  # at a plateau each has its own end
        at_last = [rows[-1] for rows in started]
    scores = {name: [row.get(name) for row in at_last] for name in search["objectives"]}
    point = {name: trial.params[name] for name in search["space"]}
    row = {"suggestion": trial.number, "state": _state(trial.state, ends), **point, "iteration": last}
    for name, values in scores.items():
        row |= _interval(name, values)
    return {**row, "seeds": len(at_last), TRIALS: " ".join(trial.user_attrs[TRIALS])}


def _until(evaluations: list[dict[str, Any]], iteration: int) -> list[dict[str, Any]]:
    return [row for row in evaluations if row["iteration"] <= iteration]


def _state(told: TrialState, ends: Collection[str]) -> str:
    if told == TrialState.PRUNED and "out_of_time" in ends and "stopped_early" not in ends:
        return "out_of_time"
    if told != TrialState.FAIL:
        return STATES[told]
    return next((state for state in ("failed", "diverged") if state in ends), "undefined")


def _interval(name: str, values: Sequence[float | None]) -> dict[str, float]:
    numbers = [math.nan if value is None else value for value in values] or [math.nan]
    mean, low, high = map(float, seed_interval(numbers))
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _with_interval(row: Mapping[Any, Any], name: str) -> str:
    half = row[f"{name}_high"] - row[name]
    return f"{row[name]:.4g}" if math.isnan(half) else f"{row[name]:.4g} ± {half:.2g}"
