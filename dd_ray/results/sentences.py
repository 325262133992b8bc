"""What came out of a grid, in one or two sentences with intervals.

Each setting by itself is held against the baseline (`dd_ray.results.arms`), seed by seed: what the seeds of a sweep
share, such as their data, drops out. Of several levels of a setting the best is told. The intervals are Student's, of
paired differences, and hold for all the differences that these were chosen from at once, as Bonferroni has it: with a
chance of 95% all of one metric are right. So what does not hold 0 may be believed, although the best was chosen.

Where β is swept beside other settings, all is said at one β: that of the lowest reconstruction error of the baseline.
At a higher one networks may have collapsed, and then no setting has an effect.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from dd_ray.config.labels import parts_of
from dd_ray.config.symbols import plain, setting
from dd_ray.results.arms import BETAS, Arm, Arms, arms_of
from dd_ray.results.comparisons import LEVEL, SPREAD
from dd_ray.results.summary import described
from dd_ray.sweep.study import TELLS

COST = "reconstruction_error"
MOST_TOLD = 3
"""Settings that a sentence has room for."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of an arm less that of the baseline, in the mean over seeds that both have."""

    mean: float
    half: float
    """Half of its interval."""
    seeds: int

    @property
    def differs(self) -> bool:
        """Whether its interval excludes 0."""
        return abs(self.mean) > self.half


@dataclass(frozen=True, kw_only=True)
class Told:
    """The best level of a setting."""

    name: str
    """In words: `γ = 0.8`."""
    levels: int
    """How many levels it is the best of."""
    score: Difference
    cost: Difference | None
    """Of `COST`, where that is another metric and there is one."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What there is to say of a grid."""

    metric: str
    beta: tuple[str, float] | None
    """The form of β, and the value at which it is said; None where it is β that is told, or has no effect."""
    beta_chosen: bool
    """Whether there are others."""
    baseline: str
    told: tuple[Told, ...]
    """The best level of each setting, the best setting first."""
    compared: int
    """How many differences of a metric the intervals hold for at once."""
    seeds: int
    """Of the baseline."""


def account_of(trials: pd.DataFrame, tells: Sequence[str] = TELLS) -> Account | None:
    """What there is to say of a grid; None where no two arms can be compared.

    Args:
        trials: rows of `dd_ray.results.table.final`.
        tells: metrics; the first is told that its trials have, and of which more or less is better.
    """
    arms, metric = arms_of(trials), told_metric(trials, tells)
    if arms is None or metric is None:
        return None
    beta = _best_beta(arms)
    levels = arms.each_by_itself()
    base = _at(arms.baseline, beta)
    pairs = {arm.name: _paired(_at(arm, beta), base, metric) for arm in levels}
    compared = sum(_varies(values) for values in pairs.values())
    best: dict[tuple[tuple[str, str], ...], tuple[Arm, Difference]] = {}
    for arm in levels:
        if _varies(pairs[arm.name]):
            score = difference(pairs[arm.name], compared)
            if arm.kind not in best or _worth(score, metric) > _worth(best[arm.kind][1], metric):
                best[arm.kind] = arm, score
    told = [
        Told(
            name=arm.name,
            levels=sum(other.kind == kind for other in levels),
            score=score,
            cost=_cost(_at(arm, beta), base, metric, compared),
        )
        for kind, (arm, score) in best.items()
    ]
    told.sort(key=lambda each: _worth(each.score, metric), reverse=True)
    return Account(
        metric=metric,
        beta=beta or _only_beta(trials),
        beta_chosen=beta is not None,
        baseline=arms.baseline.name,
        told=tuple(told),
        compared=compared,
        seeds=len(base),
    )


def told_metric(trials: pd.DataFrame, tells: Sequence[str]) -> str | None:
    """The first of some metrics that trials have, and of which more or less is better."""
    ranked = (name for name in tells if described(name).better and not described(name).count)
    return next((name for name in ranked if name in trials and trials[name].notna().any()), None)


def difference(pairs: Sequence[float], compared: int) -> Difference:
    """Mean of paired differences with an interval that holds for `compared` of them at once.

    d̄ ± t_{n−1, 1 − 0.05/(2m)} s/√n,   n pairs, m differences (Bonferroni)
    """
    number = len(pairs)
    quantile = float(scipy.special.stdtrit(number - 1, 1 - LEVEL / (2 * compared)))
    half = quantile * float(np.std(pairs, ddof=1)) / math.sqrt(number)
    return Difference(mean=float(np.mean(pairs)), half=half, seeds=number)


def sentences(trials: pd.DataFrame, tells: Sequence[str] = TELLS) -> list[str]:
    """What came out of a grid, to be printed: none where there is nothing to compare.

    No difference is told without an interval, and of one that holds 0 it is said.
    """
    account = account_of(trials, tells)
    if account is None:
        return []
    if not account.told:
        if account.seeds < 2:
            return ["With one seed no difference can be told from the luck of the seed; give --seeds 3 or more."]
        return ["No two seeds of two cells have finished that differ, so no difference can be told from luck."]
    where = ""
    if account.beta:
        best = ", where reconstruction is best" if account.beta_chosen else ""
        where = f"At {plain(setting(dict([account.beta])))}{best}, "
    first = "; ".join(_clause(account, told, first=not i) for i, told in enumerate(account.told[:MOST_TOLD]))
    more = len(account.told) - MOST_TOLD
    rest = f" ({more} more: `analysis/effects.py`)" if more > 0 else ""
    opening = f"{where}against {account.baseline}: "
    return [f"{opening[0].upper()}{opening[1:]}{first}{rest}.", _about_intervals(account), *_collapsed(trials)]


def in_words(metric: str) -> str:
    """A metric in a sentence: `linear R² of stills`."""
    words = described(metric).label.split(" (")[0].replace(", of ", " of ")
    return words[0].lower() + words[1:] if words[1:2].islower() else words


def _clause(account: Account, told: Told, first: bool) -> str:
    what = in_words(account.metric) if first else "it"
    best_of = f", the best of {told.levels} levels," if told.levels > 1 else ""
    verb = "raises" if told.score.mean > 0 else "lowers"
    text = f"{told.name}{best_of} {verb} {what} by {_interval(told.score)}"
    if told.cost is not None and first:
        text += f" and {'costs' if told.cost.mean > 0 else 'saves'} {_interval(told.cost)} of {in_words(COST)}"
    return text


def _interval(found: Difference) -> str:
    """`0.40 [0.25, 0.55]`, its sign left to the verb, with what has to be said of one that holds 0."""
    mean, low, high = abs(found.mean), abs(found.mean) - found.half, abs(found.mean) + found.half
    digits = max(0, 1 - math.floor(math.log10(found.half)))
    while found.differs and round(low, digits) == 0:
        digits += 1
    numbers = [f"{value:.{digits}f}".replace("-", "−") for value in (mean, low, high)]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]{'' if found.differs else ' (not told apart from 0)'}"


def _about_intervals(account: Account) -> str:
    seeds = sorted({told.score.seeds for told in account.told})
    number = f"{seeds[0]} seeds" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    at_once = "" if account.compared == 1 else f"; they hold for all {account.compared} differences of a metric at once"
    return f"In brackets: 95% intervals of paired differences over {number}{at_once}."


def _collapsed(trials: pd.DataFrame) -> list[str]:
    """At which β no network has learned anything."""
    arms = arms_of(trials)
    if arms is None or arms.beta is None or "active_units" not in trials:
        return []
    finished = pd.concat([arm.trials for arm in (arms.baseline, *arms.others)])
    at_each = finished.groupby(arms.beta)["active_units"].agg(["max", "size"])
    said = at_each[at_each["max"] == 0]
    if said.empty:
        return []
    values = " and ".join(plain(setting({arms.beta: beta})) for beta in said.index)
    return [f"At {values} all {said['size'].sum()} networks have collapsed: no latent is active."]


def _best_beta(arms: Arms) -> tuple[str, float] | None:
    """The β at which the baseline reconstructs best; the lowest where nothing is reconstructed."""
    if arms.beta is None:
        return None
    trials = arms.baseline.trials
    if COST not in trials or trials[COST].isna().all():
        return arms.beta, float(trials[arms.beta].min())
    by_error = trials.groupby(arms.beta)[COST].mean().dropna().sort_values()
    return arms.beta, float(by_error.index.to_list()[0])


def _only_beta(trials: pd.DataFrame) -> tuple[str, float] | None:
    """β in the form that labels name, where all trials share it."""
    form = next((form for form in BETAS if form in parts_of(trials["label"].iloc[0])), None)
    return (form, float(trials[form].iloc[0])) if form and trials[form].nunique() == 1 else None


def _at(arm: Arm, beta: tuple[str, float] | None) -> pd.DataFrame:
    """Its trials at a β, by their seeds."""
    trials = arm.trials if beta is None else arm.trials[np.isclose(arm.trials[beta[0]], beta[1], rtol=1e-9, atol=0)]
    return trials.drop_duplicates("seed").set_index("seed")


def _paired(trials: pd.DataFrame, base: pd.DataFrame, metric: str) -> list[float]:
    found = pd.to_numeric(trials[metric]) - pd.to_numeric(base[metric])
    size = max(trials[metric].abs().max(), base[metric].abs().max())
    values = found.dropna()
    # Of rounding alone: nothing.
    return values.to_list() if len(values) and values.max() - values.min() > SPREAD * size else []


def _varies(pairs: Sequence[float]) -> bool:
    """Whether there are two seeds that differ: others say nothing of further seeds."""
    return len(pairs) > 1


def _worth(found: Difference, metric: str) -> float:
    return found.mean if described(metric).better == "max" else -found.mean


def _cost(trials: pd.DataFrame, base: pd.DataFrame, metric: str, compared: int) -> Difference | None:
    if metric == COST or COST not in trials:
        return None
    pairs = _paired(trials, base, COST)
    return difference(pairs, compared) if _varies(pairs) else None
