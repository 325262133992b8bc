"""Computes the scores of `FURTHER` that are asked for, from all latents, and again from the active ones alone.

Latents of size 1e-5 correlate with factors as well as those of size 1, and the mask of active units removes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING

from dd_ray.config.code import resolve
from dd_ray.config.datasets import DATASETS
from dd_ray.metrics.activity import active_mask
from dd_ray.metrics.arrays import Mask
from dd_ray.metrics.further import FURTHER
from dd_ray.metrics.score import ACTIVE, ACTIVE_STILLS, Code, ScoreSpec

if TYPE_CHECKING:
    from dd_ray.config import TrialConfig


class ScoreError(ValueError):
    """A score gives something else than it declares. The message says what, and what it is to give."""


def applicable(names: Sequence[str], factor_names: Sequence[str], drawn: bool = True) -> list[str]:
    """Return those of the named scores that are meaningful for factors with these names; without factors, none.

    `notebook` needs the original's four factors, and `block_separation` the factors of more than one thing, such as a
    circle and a background. Where pictures come from a file (`drawn` is false), scores that ask for others are left
    out.

    Raises:
        ValueError: there is no score of a name.
    """
    if isinstance(names, str):
        raise ValueError(f"names = {names!r} is text; give a list of scores, such as [{names!r}].")
    if unknown := [name for name in names if name not in FURTHER]:
        raise ValueError(f"there is no score {unknown[0]!r}; give some of {', '.join(FURTHER)}.")
    known = [name for name in names if FURTHER[name].applies(factor_names)] if factor_names else []
    return [name for name in known if drawn or not FURTHER[name].asks]


def applicable_to(config: "TrialConfig", names: Sequence[str]) -> list[str]:
    """Return those of the named scores that are meaningful for the data of a config."""
    return applicable(names, config.factor_names, DATASETS[config.dataset].drawn)


def why_not_applicable(config: "TrialConfig", name: str) -> str:
    """Return why a score that is not `applicable_to` a config is not."""
    if not config.factor_names:
        return "is a score of factors, and data_file has none"
    if not DATASETS[config.dataset].drawn and FURTHER[name].asks:
        return "asks for pictures of other factors than those in data_file"
    return f"means nothing of the factors {', '.join(config.factor_names)}"


def columns_of(names: Sequence[str], scores: Mapping[str, float]) -> dict[str, float]:
    """Return what the named scores have among the values of `further_scores`, without `ACTIVE_STILLS`."""
    return {column: scores[column] for name in names for column in FURTHER[name].all_columns if column in scores}


def is_computed_once(column: str) -> bool:
    """Return whether a column is computed once, at the end, with further scores."""
    return column == ACTIVE_STILLS or any(column in score.columns for score in FURTHER.values())


def further_scores(names: Sequence[str], code: Code) -> dict[str, float]:
    """Compute the columns of some of `FURTHER` from all latents, and `…_active` from the active ones alone.

    If no latent is active, the latter are 0. A score that has no value is NaN.

    Args:
        names: keys of `FURTHER`; those that are not `applicable` to the factors are left out.
        code: the network to score. Give it 10,000 pictures: half to fit on, half to score.

    Returns:
        Values by column, `ACTIVE_STILLS` among them.

    Raises:
        ScoreError: a score gives a column that it does not declare, or no number for one that it does.
        ValueError: there is no score of a name, or latents are not finite.
    """
    mask = active_mask(code.latents)
    scores: dict[str, float] = {ACTIVE_STILLS: int(mask.sum())}
    for name in applicable(names, code.factor_names, drawn=code.encode is not None):
        score = FURTHER[name]
        columns = _computed(score, code, None)
        scores |= columns
        if score.masked:
            scores |= {column + ACTIVE: value for column, value in _of_active(score, code, mask, columns).items()}
    return scores


def _of_active(score: ScoreSpec, code: Code, mask: Mask, of_all: dict[str, float]) -> dict[str, float]:
    if mask.all():
        return of_all
    return _computed(score, code, mask) if mask.any() else dict.fromkeys(of_all, 0.0)


def _computed(score: ScoreSpec, code: Code, mask: Mask | None) -> dict[str, float]:
    its_own = replace(code, latents=code.latents.copy(), factors=code.factors.copy())  # a user's may write to them
    columns: dict[str, float] = resolve(score.compute)(its_own, mask)
    example = ", ".join(f'"{column}": 0.5' for column in score.columns)
    if not isinstance(columns, dict):
        raise ScoreError(f"score {score.name} returns a {type(columns).__name__}; give a dictionary, {{{example}}}.")
    if undeclared := [column for column in columns if column not in score.columns]:  # it could be another's
        raise ScoreError(
            f"score {score.name} gives column {undeclared[0]}, which it does not declare; add it to columns."
        )
    if lacking := [column for column in score.columns if column not in columns]:
        raise ScoreError(f"score {score.name} gives no {lacking[0]}; give a number, NaN where it has no value.")
    for column, value in columns.items():
        if isinstance(value, bool) or not isinstance(value, Real):  # a bool is a number to Python, and none in a file
            raise ScoreError(f"score {score.name} gives a {type(value).__name__} as {column}; give a number.")
    return columns
