"""Confirms the best cells of a sweep with fresh seeds, which keeps selection apart from estimation.

The best of many cells looks better than it is, since it was chosen for its luck as well. So the best cell of each arm,
including the baseline, is chosen by the seeds of a sweep and trained again with others, and only these are reported.
A cell with a seed that diverged is never chosen, as its other seeds flatter it.

Each arm's cell is compared with the baseline's, d_s = y_s − b_s for the fresh seeds s: the mean of d with Student's 95%
interval, its p-value by t, the p-value by all flips of the signs of d (which needs no normal distribution), and that by
t adjusted for all arms of an outcome by Holm (1979).

Where arms change a model together with more, as inertia's γ, the best cell of the model alone is trained too. It is a
control, which tells how much of a difference the model makes by itself; no claim, so that Holm does not count it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from dd_ray.command_line import Column, console, counted, print_table
from dd_ray.config.symbols import plain, symbol
from dd_ray.errors import UserError
from dd_ray.metrics import described
from dd_ray.results.arms import Arm, Arms, arms_of
from dd_ray.results.came_out import TrialsCameOut
from dd_ray.results.cells import cells_of
from dd_ray.results.comparisons import by_flips, holm, interval_that_tells
from dd_ray.results.sentences import in_words, told_metric
from dd_ray.results.table import as_csv, final, finished, load
from dd_ray.storage.names import CONFIRMATION
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.confirmation import BASELINE, CONTROL, ConfirmationPlan, confirmation_plan
from dd_ray.sweep.plan import Plan


def confirmed(plan: Plan) -> Plan:
    """Return the plan itself or, if it asks for that, the one that confirms the best cells of its sweep.

    Raises:
        UserError: there is nothing to confirm, or the sweep has not finished its iterations.
    """
    number = plan.options.confirm
    if number is None:
        return plan
    if plan.study.search:
        raise UserError(
            f"--confirm {number} is of a grid, and a search draws its values; train a suggestion again by these, with "
            f"seeds that the search does not have, from --seed {max(plan.axes['seed']) + 1} on."
        )
    if not SweepFolder.at(plan.location).manifest():
        raise UserError(
            f"--confirm {number} is of the best cells of {plan.location}, which has not been run; give the same "
            "command without --confirm first."
        )
    table, iterations = load(plan.location), plan.options.iterations
    # Of a sweep that has been extended in part, some trials may have gone further, and some may have yet to.
    trials = final(table[table["key"].isin(plan.keys) & ~(table["iteration"] > iterations)])
    at_end = (trials["state"] == "finished") & (trials["iteration"] >= iterations)
    if left := plan.num_trials - int((at_end | (trials["state"] == "diverged")).sum()):
        have = "has" if left == 1 else "have"
        raise UserError(
            f"{counted(left, 'trial')} of {plan.location} {have} not finished {iterations:,} iterations; run it to its "
            f"end, without --confirm{_that_it_ends(plan, set(trials['state']))}."
        )
    outcomes = plan.study.outcomes or tuple(filter(None, [told_metric(trials, plan.study.tells)]))
    return confirmation_plan(plan, {outcome: choose(trials, outcome) for outcome in outcomes}, number)


def _that_it_ends(plan: Plan, states: Collection[str]) -> str:
    """Say which options let trials go on that have ended by a plan before its last iteration."""
    options = ""
    if "stopped_early" in states and plan.scheduler.compares:
        options += " and with --scheduler none"
    if "out_of_time" in states and plan.options.trial_time_budget is not None:
        options += " and with a longer --trial-time-budget"
    return options


def choose(trials: pd.DataFrame, outcome: str) -> dict[str, str | None]:
    """Choose the best cell of each arm, and of the controls of the chosen ones, over its levels and values of β.

    Return the key of one of its trials by arm; None if each of its cells has a network that collapsed or diverged.

    Args:
        trials: rows of `dd_ray.results.table.final`.
        outcome: a metric that is better one way; cells are compared by its mean over seeds.

    Raises:
        UserError: there is nothing to choose from.
    """
    arms = arms_of(_with_diverged(trials))
    if arms is None or outcome not in trials:
        raise UserError(f"there are no two arms with {outcome} that have finished, so there is nothing to confirm.")
    kinds: dict[Any, list[Arm]] = {BASELINE: [arms.baseline]}
    for arm in arms.each_by_itself():
        kinds.setdefault(arm.kind, []).append(arm)
    found = {_name(kind): _best_key(levels, arms, outcome) for kind, levels in kinds.items()}
    chosen = [kind for kind in kinds if found[_name(kind)]]
    if BASELINE not in chosen or len(chosen) == 1:
        which = "the baseline's" if BASELINE not in chosen else "the other arms'"
        raise UserError(
            f"each of {which} cells has a network that collapsed or diverged, so there is nothing to confirm in "
            f"{outcome}; train longer, or at a lower β."
        )
    with_model = {dict(kind).get("model") for kind in chosen if kind != BASELINE}
    controls = [control for control in arms.controls() if control.changed["model"] in with_model]
    return found | {CONTROL + _name(control.kind): _best_key([control], arms, outcome) for control in controls}


def _with_diverged(trials: pd.DataFrame) -> pd.DataFrame:
    """Let trials that diverged count as ended, with `diverged` to tell them, so that their arms and cells are whole."""
    diverged = trials["state"] == "diverged"
    furthest = trials.loc[trials["state"] == "finished", "iteration"].max()
    ended = {
        "state": trials["state"].mask(diverged, "finished"),
        "iteration": trials["iteration"].mask(diverged, furthest),
    }
    return trials.assign(diverged=diverged, **ended)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The difference, with fresh seeds, of an arm's best cell to the baseline's."""

    outcome: str
    arm: str
    mean: float
    low: float
    high: float
    """Its 95% interval, by Student's t; NaN, as the p-values are, with one seed, and where all seeds agree."""
    p_value: float
    p_flips: float
    """P-value by flips of the signs of the seeds' differences; with n seeds at least 2^(1 − n)."""
    p_holm: float
    """P-value by Student's t, adjusted for all arms of the outcome; NaN of a control."""
    seeds: int


def contrasts(trials: pd.DataFrame, chosen: Mapping[str, Mapping[str, Sequence[str]]]) -> list[Contrast]:
    """Compare each arm's cell with that of the baseline, paired by seed.

    Args:
        trials: rows of `dd_ray.results.table.final`, of fresh seeds.
        chosen: by outcome and arm, the keys of the trials of its cell.
    """
    found: list[Contrast] = []
    for outcome, cells in chosen.items():
        of_arm = paired(trials, outcome, cells)
        pairs = {arm: np.asarray(differences, np.float64) for arm, differences in of_arm.items()}
        of_arms = {arm: _contrast(outcome, arm, values) for arm, values in pairs.items()}
        claims = [arm for arm in of_arms if not arm.startswith(CONTROL)]
        adjusted = holm(np.array([of_arms[arm].p_value for arm in claims]))
        for arm, p_holm in zip(claims, adjusted, strict=True):
            of_arms[arm] = replace(of_arms[arm], p_holm=float(p_holm))
        found += of_arms.values()
    return found


def paired(trials: pd.DataFrame, outcome: str, cells: Mapping[str, Sequence[str]]) -> "dict[str, pd.Series[float]]":
    """Return, by arm, each seed's outcome less that of the baseline, for the seeds that both have finished.

    Where a confirmation has been extended in part, only trials that got furthest count.

    Args:
        trials: rows of `dd_ray.results.table.final`.
        outcome: a metric.
        cells: by arm, the keys of the trials of its cell.
    """
    done = finished(trials).reindex(columns=["key", "seed", outcome])  # no trial may have the outcome yet
    of_arm = {arm: done[done["key"].isin(keys)].set_index("seed")[outcome] for arm, keys in cells.items()}
    base = of_arm.pop(BASELINE)
    return {arm: (scores - base).dropna() for arm, scores in of_arm.items()}


class ConfirmationCameOut(TrialsCameOut):
    """The results of chosen cells with fresh seeds. Their contrasts are written to `confirmation.csv`."""

    def __init__(self, plan: ConfirmationPlan, sweep: SweepFolder, table: pd.DataFrame) -> None:
        super().__init__(plan, sweep, table)
        self._confirmed = plan
        self._contrasts = contrasts(final(table[table["key"].isin(plan.keys)]), plan.chosen)
        sweep.write_result(CONFIRMATION, as_csv(pd.DataFrame([vars(each) for each in self._contrasts])))

    def print_more(self, trials: pd.DataFrame) -> None:
        """Print the contrasts."""
        print_contrasts(self._contrasts, self._confirmed)


def print_contrasts(found: Sequence[Contrast], plan: ConfirmationPlan) -> None:
    """Print the contrasts, a table for each outcome."""
    for outcome in plan.chosen:
        title = f"{in_words(outcome)}, less that of {plan.cells[outcome][BASELINE]}, of seeds that chose nothing"
        rows = [contrast for contrast in found if contrast.outcome == outcome]
        print_table(_columns(rows, plan.cells[outcome]), console(), title)


def _columns(rows: Sequence[Contrast], cells: Mapping[str, str]) -> list[Column]:
    intervals = ["" if math.isnan(each.low) else f"{_signed(each.low)} to {_signed(each.high)}" for each in rows]
    columns = [
        Column(header="cell", texts=[_cell(each, cells) for each in rows], words=True, least=18),
        Column(header="difference", texts=["" if math.isnan(each.mean) else _signed(each.mean) for each in rows]),
        Column(header="95% interval", texts=intervals),
    ]
    p_values = (("p (Holm)", "p_holm"), ("p (t)", "p_value"), ("p (flips)", "p_flips"))
    for rank, (header, name) in enumerate(p_values, start=1):
        texts = ["" if math.isnan(p_value := getattr(each, name)) else f"{p_value:.2g}" for each in rows]
        columns.append(Column(header=header, texts=texts, rank=rank))
    return [*columns, Column(header="seeds", texts=[str(each.seeds) for each in rows])]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _cell(contrast: Contrast, cells: Mapping[str, str]) -> str:
    return cells[contrast.arm] + " (control)" * contrast.arm.startswith(CONTROL)


def _name(kind: Any) -> str:
    """Name a kind of arm by its names, and the symbols of its numbers: `inertia_vae γ`."""
    return BASELINE if kind == BASELINE else " ".join(value or plain(symbol(name)) for name, value in kind)


def _best_key(levels: Sequence[Arm], arms: Arms, outcome: str) -> str | None:
    """Return the key of a trial of the best cell that is complete and has no seed that collapsed or diverged."""
    sign = 1 if described(outcome).better == "max" else -1
    best: tuple[float, str] | None = None
    for level in levels:
        for cell in cells_of(level.trials, [arms.beta] if arms.beta else []):
            collapsed = (pd.to_numeric(cell.trials.get("active_units", pd.Series([1.0]))) == 0).any()
            lost = collapsed or cell.trials["diverged"].any()
            mean = cell.score(outcome).mean
            if not lost and not math.isnan(mean) and (best is None or sign * mean > best[0]):
                best = sign * mean, str(cell.trials["key"].iloc[0])
    return best[1] if best else None


def _contrast(outcome: str, arm: str, values: NDArray[np.float64]) -> Contrast:
    """Compare by the differences of an arm alone, without `p_holm`."""
    mean, low, high = map(float, interval_that_tells(values)) if len(values) else [math.nan] * 3
    says = not math.isnan(low)
    p_value = float(scipy.stats.ttest_1samp(values, 0.0).pvalue) if says else math.nan
    return Contrast(
        outcome=outcome,
        arm=arm,
        mean=mean,
        low=low,
        high=high,
        p_value=p_value,
        p_flips=float(by_flips(values[None])[0]) if says else math.nan,
        p_holm=math.nan,
        seeds=len(values),
    )
