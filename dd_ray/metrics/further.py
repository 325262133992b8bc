"""The scores that are computed once, at the end of a trial or later, by the names that they have on a command line.

Each takes a network as a `Code`: its latents of still pictures with independent uniform factors, and a function that
encodes more pictures. A score is computed from all latents, and again from the active ones alone: latents of size 1e-5
correlate with factors as well as those of size 1, and the mask of active units removes them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from dd_ray.config.code import resolve
from dd_ray.config.declarations import KINDS, TAKEN
from dd_ray.config.specs import Registry, Spec
from dd_ray.config.trial_fields import REGISTRIES
from dd_ray.metrics.activity import active_mask
from dd_ray.metrics.arrays import Array, Mask, mean_of_factors
from dd_ray.metrics.beta_vae import beta_vae_score
from dd_ray.metrics.blocks import block_separation
from dd_ray.metrics.dci import dci
from dd_ray.metrics.factor_vae import factor_vae_score
from dd_ray.metrics.interventions import Encode
from dd_ray.metrics.mcc import mean_correlation_coefficient
from dd_ray.metrics.metric import FROM_0_TO_1, UP_TO_1, Metric
from dd_ray.metrics.mig import mig, mig_equal_width
from dd_ray.metrics.modularity import modularity
from dd_ray.metrics.notebook import FACTORS as NOTEBOOK_FACTORS
from dd_ray.metrics.notebook import (
    mean_squared_cross_correlation,
    mean_squared_sweep_correlation,
    notebook_sweeps,
)
from dd_ray.metrics.regression import linear_r2, linear_r2_of_few, nonlinear_r2
from dd_ray.metrics.sap import sap

ASKED_SCORES = ("auto", "all", "none")
"""Words that ask for scores of the last evaluation beside their names, and which no score may have as a name."""
ACTIVE = "_active"
"""Suffix of the columns whose scores are of active units alone."""
ACTIVE_STILLS = "active_units_stills"
"""Column beside the further scores of a trained network: the number of its active units. It is no score of its own, and
is not kept of an untrained network."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of a network, from which these scores are computed."""

    latents: Array
    """[N, L] of still pictures; finite."""
    factors: Array
    """[N, F] of the same pictures: independent, and uniform in [0, 1]."""
    factor_names: Sequence[str]
    """Names of the F factors: THING_COORDINATE, as in circle_x."""
    encode: Encode | None
    """Encodes the pictures of any factors; None if pictures of other factors do not exist."""


FEW_LABELS = (30, 100, 1_000)
"""Numbers of labelled points that a read-out is fitted on."""
Compute = Callable[[Code, Mask | None], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class ScoreSpec(Spec):
    """The declaration of a score that is computed once, with the columns of the table that it fills."""

    compute: Compute | str
    """Computes its columns from a code, and the mask [L] of the latents to look at."""
    columns: dict[str, Metric]
    cost: float
    """Seconds on one core, for four latents, without encoding the pictures that all scores share."""
    masked: bool = True
    """True if it is also computed from the active units alone."""
    applies: Callable[[Sequence[str]], bool] = lambda names: True
    """Returns whether it is meaningful for factors with these names."""
    asks: bool = False
    """True if it needs pictures of factors that it chooses itself."""

    def __post_init__(self) -> None:
        # As a sweep records columns: label, short name, which values are better.
        columns = {
            name: metric if isinstance(metric, Metric) else Metric(*metric) for name, metric in self.columns.items()
        }
        object.__setattr__(self, "columns", columns)

    @property
    def all_columns(self) -> dict[str, Metric]:
        """Its columns for all latents, and those for the active ones."""
        of_active = {
            column + ACTIVE: Metric(
                f"{metric.label}, active units", f"{metric.short}, active", metric.better, within=metric.within
            )
            for column, metric in self.columns.items()
        }
        return self.columns | (of_active if self.masked else {})


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
        ValueError: a score gives a column that it does not declare, or no number for one, there is no score of a name,
            or latents are not finite.
    """
    mask = active_mask(code.latents)
    scores: dict[str, float] = {ACTIVE_STILLS: int(mask.sum())}
    for name in applicable(names, code.factor_names, drawn=code.encode is not None):
        score = FURTHER[name]
        columns = _computed(score, code, None)
        if undeclared := [column for column in columns if column not in score.columns]:  # it could be another's
            raise ValueError(
                f"score {name} gives column {undeclared[0]}, which it does not declare; add it to columns."
            )
        scores |= columns
        if score.masked:
            scores |= {column + ACTIVE: value for column, value in _of_active(score, code, mask, columns).items()}
    return scores


def _of_active(score: ScoreSpec, code: Code, mask: Mask, of_all: dict[str, float]) -> dict[str, float]:
    if mask.all():
        return of_all
    return _computed(score, code, mask) if mask.any() else dict.fromkeys(of_all, 0.0)


def _computed(score: ScoreSpec, code: Code, mask: Mask | None) -> dict[str, float]:
    columns: dict[str, float] = resolve(score.compute)(code, mask)
    example = ", ".join(f'"{column}": 0.5' for column in score.columns)
    if not isinstance(columns, dict):
        raise ValueError(f"score {score.name} returns a {type(columns).__name__}; give a dictionary, {{{example}}}.")
    for column, value in columns.items():
        if not isinstance(value, Real):
            raise ValueError(f"score {score.name} gives a {type(value).__name__} as {column}; give a number.")
    return columns


def _single(
    name: str,
    column: str,
    metric: Callable[..., Any],
    label: str,
    short: str,
    *,
    cost: float,
    within: tuple[float, float] = FROM_0_TO_1,
) -> ScoreSpec:
    """Declare a score of latents and factors with one column; a score per factor is averaged over factors."""

    def compute(code: Code, mask: Mask | None) -> dict[str, float]:
        return {column: mean_of_factors(np.atleast_1d(metric(code.latents, code.factors, mask)))}

    return ScoreSpec(
        name=name, compute=compute, columns={column: Metric(label, short, "max", within=within)}, cost=cost
    )


def _dci(code: Code, mask: Mask | None) -> dict[str, float]:
    scores = dci(code.latents, code.factors, mask)
    return {
        "dci_disentanglement": scores.disentanglement,
        "dci_completeness": scores.completeness,
        "dci_informativeness": scores.informativeness,
    }


def _few_labels(code: Code, mask: Mask | None) -> dict[str, float]:
    return {
        f"linear_r2_{n}": mean_of_factors(linear_r2_of_few(code.latents, code.factors, n, mask)) for n in FEW_LABELS
    }


def _block_separation(code: Code, mask: Mask | None) -> dict[str, float]:
    scores = block_separation(code.latents, code.factors, _things(code.factor_names), mask)
    return {
        "block_disentanglement": scores.disentanglement,
        "block_r2_own": scores.r2_own,
        "block_r2_gap": scores.r2_gap,
    }


def _things(factor_names: Sequence[str]) -> list[str]:
    """Return the thing that each factor belongs to, as `circle` for circle_x."""
    return [name.partition("_")[0] for name in factor_names]


def _asked(code: Code) -> Encode:
    """Return the encoder for scores that need more pictures; `applicable` leaves these out where there is none."""
    assert code.encode
    return code.encode


def _notebook(code: Code, mask: Mask | None) -> dict[str, float]:
    sweeps = notebook_sweeps(code.factors.shape[1])
    responses = _asked(code)(sweeps.reshape(-1, sweeps.shape[-1])).reshape(*sweeps.shape[:2], -1)
    return {
        "notebook_cross_correlation": mean_squared_cross_correlation(responses, mask),
        "notebook_sweep_correlation": mean_squared_sweep_correlation(responses, mask),
    }


FURTHER = Registry(
    "metric",
    [
        _single("mig", "mig_stills", mig, "MIG, of stills", "MIG, stills", cost=0.017),
        _single(
            "mig_equal_width", "mig_equal_width", mig_equal_width, "MIG, equal-width bins", "MIG, width", cost=0.003
        ),
        _single("sap", "sap_stills", sap, "SAP, of stills", "SAP, stills", cost=0.002),
        _single("mcc", "mcc_stills", mean_correlation_coefficient, "MCC, of stills", "MCC, stills", cost=0.002),
        _single(
            "mcc_spearman",
            "mcc_spearman",
            lambda *args: mean_correlation_coefficient(*args, method="spearman"),
            "MCC of ranks (Spearman)",
            "MCC, ranks",
            cost=0.017,
        ),
        _single(
            "linear_r2", "linear_r2_stills", linear_r2, "Linear R², of stills", "R², stills", cost=0.002, within=UP_TO_1
        ),
        _single("modularity", "modularity", modularity, "Modularity", "modularity", cost=0.016),
        ScoreSpec(
            name="few_labels",
            compute=_few_labels,
            columns={
                f"linear_r2_{n}": Metric(f"Linear R² from {n:,} labels, of stills", f"R², {n}", "max", within=UP_TO_1)
                for n in FEW_LABELS
            },
            cost=0.07,
        ),
        ScoreSpec(
            name="notebook",
            compute=_notebook,
            columns={
                "notebook_cross_correlation": Metric(
                    "Notebook: correlation between latents, squared", "z-z", None, within=FROM_0_TO_1
                ),
                "notebook_sweep_correlation": Metric(
                    "Notebook: correlation with sweeps, squared", "z-sweep", None, within=FROM_0_TO_1
                ),
            },
            cost=0.01,
            masked=False,  # as the original published them
            applies=lambda names: tuple(names) == NOTEBOOK_FACTORS,
            asks=True,
        ),
        _single(
            "nonlinear_r2",
            "nonlinear_r2",
            nonlinear_r2,
            "Non-linear R² (mean of factors)",
            "R², trees",
            cost=2,
            within=UP_TO_1,
        ),
        ScoreSpec(
            name="dci",
            compute=_dci,
            columns={
                "dci_disentanglement": Metric("DCI disentanglement", "DCI D", "max", within=FROM_0_TO_1),
                "dci_completeness": Metric("DCI completeness", "DCI C", "max", within=FROM_0_TO_1),
                "dci_informativeness": Metric("DCI informativeness (R²)", "DCI I", "max", within=UP_TO_1),
            },
            cost=2,
        ),
        ScoreSpec(
            name="block_separation",
            compute=_block_separation,
            applies=lambda names: len(set(_things(names))) > 1,
            columns={
                "block_disentanglement": Metric(
                    "Block disentanglement, foreground | background", "block D", "max", within=FROM_0_TO_1
                ),
                "block_r2_own": Metric("R² from the latents of the own block", "block R²", "max", within=UP_TO_1),
                "block_r2_gap": Metric("R² from the own block less that from the other", "block gap", "max"),
            },
            cost=2,
        ),
        ScoreSpec(
            name="factor_vae",
            compute=lambda code, mask: {"factor_vae": factor_vae_score(_asked(code), code.factors.shape[1], mask)},
            asks=True,
            columns={"factor_vae": Metric("FactorVAE score", "FactorVAE", "max", within=FROM_0_TO_1)},
            cost=4.2,
        ),
        ScoreSpec(
            name="beta_vae",
            compute=lambda code, mask: {"beta_vae": beta_vae_score(_asked(code), code.factors.shape[1], mask)},
            asks=True,
            columns={"beta_vae": Metric("β-VAE score", "β-VAE", "max", within=FROM_0_TO_1)},
            cost=8.3,
        ),
    ],
)
"""The scores by name. A name that ends in `_stills` marks a score of still pictures which every evaluation also
reports, without the suffix, for the frames of held-out videos."""

# Registered with extensions here, since their module lies below this one and cannot import it.
REGISTRIES[FURTHER.kind], KINDS[FURTHER.kind] = FURTHER, ScoreSpec
TAKEN.update((FURTHER.kind, word) for word in ASKED_SCORES)
TAKEN.add(ACTIVE_STILLS)
