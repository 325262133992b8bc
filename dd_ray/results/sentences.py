"""Sums up the results of a grid in one or two sentences with intervals.

Each setting by itself is compared with the baseline (`dd_ray.results.arms`), seed by seed, so that what trials of a
seed share, such as their data, drops out. Of several levels of a setting the best is reported. The intervals are
Student's, of paired differences, with Bonferroni's correction for all the differences from which the best were chosen:
with a chance of 95% all of one metric are right. So an interval without 0 may be believed, although the best was
chosen.

If β is swept beside other settings, all comparisons are at one β: the one with the lowest reconstruction error of the
baseline, or of the other arms if β has no effect in the baseline. At a higher β networks may have collapsed, and then
no setting has an effect. Trials in which β has no effect are at every β. The seeds that choose β are those that are
compared there, and the baseline's luck would pass for a cost of the arms: so the differences at each β that may be the
best, as their errors are not told apart, are among those from which the best were chosen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from dd_ray.config import BETAS
from dd_ray.config.labels import parts_of
from dd_ray.config.symbols import plain, setting
from dd_ray.metrics import described
from dd_ray.results.arms import Arm, Arms, arms_of
from dd_ray.results.cells import places_of
from dd_ray.results.comparisons import LEVEL, SPREAD, told_apart
from dd_ray.sweep.study import TELLS

COST = "reconstruction_error"
MOST_TOLD = 3
"""The most settings that a sentence names."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The mean difference of a metric between an arm and the baseline, over the seeds that both have."""

    mean: float
    half: float
    """Half of the length of its interval."""
    seeds: int

    @property
    def differs(self) -> bool:
        """True if its interval excludes 0."""
        return abs(self.mean) > self.half


@dataclass(frozen=True, kw_only=True)
class Told:
    """The best level of a setting."""

    name: str
    """In words: `γ = 0.8`."""
    levels: int
    """Number of levels of which it is the best."""
    score: Difference
    cost: Difference | None
    """The difference of `COST`, unless that is the metric itself, or missing."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """The findings of a grid."""

    metric: str
    beta: tuple[str, float] | None
    """The form of β, and its value at which arms are compared; None if β itself is the setting, or has no effect."""
    beta_chosen: bool
    """True if the grid has other values of β."""
    betas: int
    """Number of values of β that may be the best, see `_rivals`."""
    baseline: str
    told: tuple[Told, ...]
    """The best level of each setting, the best setting first."""
    compared: int
    """Number of differences of a metric, at all of `betas`, for which the intervals hold at once."""
    seeds: int
    """Number of seeds of the baseline."""
    shared: int
    """The most of these seeds that another arm has at this β."""


def account_of(trials: pd.DataFrame, tells: Sequence[str] = TELLS) -> Account | None:
    """Find the best level of each setting of a grid; None if no two arms can be compared.

    Args:
        trials: rows of `dd_ray.results.table.final`.
        tells: metrics; the first one that the trials have, and that is better one way, is used.
    """
    arms, metric = arms_of(trials), told_metric(trials, tells)
    if arms is None or metric is None:
        return None
    beta = _best_beta(arms)
    levels = arms.each_by_itself()
    base = _at(arms.baseline, beta)
    at_beta = {arm.name: _at(arm, beta) for arm in levels}
    pairs = {name: _paired(ended, base, metric) for name, ended in at_beta.items()}
    betas = 1 + (_rivals(arms, beta) if beta else 0)
    compared = betas * sum(_varies(values) for values in pairs.values())
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
            cost=_cost(at_beta[arm.name], base, metric, compared),
        )
        for kind, (arm, score) in best.items()
    ]
    told.sort(key=lambda each: _worth(each.score, metric), reverse=True)
    return Account(
        metric=metric,
        beta=beta or _only_beta(trials),
        beta_chosen=beta is not None,
        betas=betas,
        baseline=arms.baseline.name,
        told=tuple(told),
        compared=compared,
        seeds=len(base),
        shared=max((len(ended.index.intersection(base.index)) for ended in at_beta.values()), default=len(base)),
    )


def told_metric(trials: pd.DataFrame, tells: Sequence[str]) -> str | None:
    """Return the first of some metrics that trials have and that is better one way."""
    ranked = (name for name in tells if described(name).better and not described(name).count)
    return next((name for name in ranked if name in trials and trials[name].notna().any()), None)


def difference(pairs: Sequence[float], compared: int) -> Difference:
    """Average paired differences, with an interval that holds for `compared` of them at once.

    d̄ ± t_{n−1, 1 − 0.05/(2m)} s/√n,   n pairs, m differences (Bonferroni)
    """
    number = len(pairs)
    quantile = float(scipy.special.stdtrit(number - 1, 1 - LEVEL / (2 * compared)))
    half = quantile * float(np.std(pairs, ddof=1)) / math.sqrt(number)
    return Difference(mean=float(np.mean(pairs)), half=half, seeds=number)


def sentences(trials: pd.DataFrame, tells: Sequence[str] = TELLS) -> list[str]:
    """Write the findings of a grid in sentences; none if there is nothing to compare.

    Every difference has an interval, and one whose interval contains 0 is said to be not told apart from 0.
    """
    account = account_of(trials, tells)
    if account is None:
        return []
    if not account.told:
        return [_why_nothing_is_told(account, trials["seed"].nunique()), *_collapsed(trials)]
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
    """Name a metric in a sentence: `linear R² of stills`."""
    words = described(metric).label.split(" (")[0].replace(", of ", " of ")
    return words[0].lower() + words[1:] if words[1:2].islower() else words


def _why_nothing_is_told(account: Account, seeds_begun: int) -> str:
    if account.seeds < 2 <= seeds_begun:
        return f"Only one seed of {account.baseline} has finished, so no difference can be told from its luck."
    if account.seeds < 2:
        return "With one seed no difference can be told from the luck of the seed; give --seeds 3 or more."
    if account.beta and account.shared < 2:
        at = plain(setting(dict([account.beta])))
        besides = f"at {at} beside those of {account.baseline}"
        return f"No two seeds of another setting have finished {besides}, so no difference can be told."
    return "No two seeds of two cells have finished that differ, so no difference can be told from luck."


def _clause(account: Account, told: Told, first: bool) -> str:
    what = in_words(account.metric) if first else "it"
    best_of = f", the best of {told.levels} levels," if told.levels > 1 else ""
    verb = "raises" if told.score.mean > 0 else "lowers"
    text = f"{told.name}{best_of} {verb} {what} by {_interval(told.score)}"
    if told.cost is not None and first:
        text += f" and {'costs' if told.cost.mean > 0 else 'saves'} {_interval(told.cost)} of {in_words(COST)}"
    return text


def _interval(found: Difference) -> str:
    """Format a difference without its sign, which the verb tells: `0.40 [0.25, 0.55]`; remark if it contains 0."""
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
    at_each = "" if account.betas == 1 else f", at each of the {account.betas} β that may reconstruct best"
    return f"In brackets: 95% intervals of paired differences over {number}{at_once}{at_each}."


def _collapsed(trials: pd.DataFrame) -> list[str]:
    """Say at which β all networks have collapsed, or that all have, where β is not swept."""
    arms = arms_of(trials)
    if arms is None or "active_units" not in trials:
        return []
    every = (arms.baseline, *arms.others)
    beta = arms.beta or next((form for form in BETAS for arm in every if form in arm.changed), None)
    ended = pd.concat([_with_beta(arm, beta) if beta else arm.trials for arm in every])
    if beta is None:
        none_active = (ended["active_units"] == 0).all()
        return [f"All {len(ended)} networks have collapsed: no latent is active."] if none_active else []
    at_each = ended.groupby(beta)["active_units"].agg(["max", "size"])
    said = at_each[at_each["max"] == 0]
    if said.empty:
        return []
    values = " and ".join(plain(setting({beta: value})) for value in said.index)
    return [f"At {values} all {said['size'].sum()} networks have collapsed: no latent is active."]


def _best_beta(arms: Arms) -> tuple[str, float] | None:
    """Return the β at which the baseline reconstructs best; the lowest if nothing is reconstructed.

    If β has no effect in the baseline, it is the best for the other arms; None if it has no effect in them either.
    """
    if arms.beta is None:
        return None
    trials = _that_choose(arms, arms.beta)
    if trials.empty:
        return None
    if COST not in trials or trials[COST].isna().all():
        return arms.beta, float(trials[arms.beta].min())
    by_error = trials.groupby(arms.beta)[COST].mean().dropna().sort_values()
    return arms.beta, float(by_error.index.to_list()[0])


def _rivals(arms: Arms, beta: tuple[str, float]) -> int:
    """Count the other values of β that may be the best: those whose errors are not told apart from those of the best.

    Not among them are errors that differ by the same in all seeds, since then no seed's luck has chosen.
    """
    name, best = beta
    trials = _that_choose(arms, name)
    if COST not in trials or trials[COST].isna().all():
        return 0
    errors = trials.pivot_table(index=name, columns="seed", values=COST)
    others = errors.drop(index=best).to_numpy(float)
    bests = np.broadcast_to(errors.loc[best].to_numpy(float), others.shape)
    p_values = told_apart(others, bests, np.zeros(len(others)), LEVEL).p_values
    unpaired = (~np.isnan(others - bests)).sum(axis=1) < 2
    return int(((p_values > LEVEL) | unpaired).sum())


def _that_choose(arms: Arms, beta: str) -> pd.DataFrame:
    """Return the trials that choose β: the baseline's, or those of the other arms if β has no effect in it."""
    trials = _with_beta(arms.baseline, beta)
    return pd.concat([_with_beta(arm, beta) for arm in arms.others]) if trials.empty else trials


def _only_beta(trials: pd.DataFrame) -> tuple[str, float] | None:
    """Return β in the form that labels name, if all trials share it."""
    form = next((form for form in BETAS if form in parts_of(trials["label"].iloc[0])), None)
    return (form, float(trials[form].iloc[0])) if form and trials[form].nunique() == 1 else None


def _at(arm: Arm, beta: tuple[str, float] | None) -> pd.DataFrame:
    """Return an arm's trials at a β, and those in which β has no effect, indexed by seed."""
    trials = arm.trials
    if beta is not None:
        others = _with_beta(arm, beta[0])
        others = others[~np.isclose(others[beta[0]], beta[1], rtol=1e-9, atol=0)]
        trials = trials[~trials["key"].isin(others["key"])]
    return trials.drop_duplicates("seed").set_index("seed")


def _with_beta(arm: Arm, beta: str) -> pd.DataFrame:
    """Return an arm's trials in which β has an effect."""
    return arm.trials[[place != (None,) for place in places_of(arm.trials, [beta])]]


def _paired(trials: pd.DataFrame, base: pd.DataFrame, metric: str) -> list[float]:
    found = pd.to_numeric(trials[metric]) - pd.to_numeric(base[metric])
    size = max(trials[metric].abs().max(), base[metric].abs().max())
    values = found.dropna()
    # Differences by rounding alone count as 0.
    return values.to_list() if len(values) and values.max() - values.min() > SPREAD * size else []


def _varies(pairs: Sequence[float]) -> bool:
    """Return whether two seeds differ. If none do, they say nothing about further seeds."""
    return len(pairs) > 1


def _worth(found: Difference, metric: str) -> float:
    return found.mean if described(metric).better == "max" else -found.mean


def _cost(trials: pd.DataFrame, base: pd.DataFrame, metric: str, compared: int) -> Difference | None:
    if metric == COST or COST not in trials:
        return None
    pairs = _paired(trials, base, COST)
    return difference(pairs, compared) if _varies(pairs) else None
