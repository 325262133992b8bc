"""The metrics that trials report: how they are drawn and ranked, and which trials report them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dd_ray.config.declarations import TAKEN
from dd_ray.config.specs import cached_until_change
from dd_ray.metrics.further import FURTHER
from dd_ray.metrics.metric import FROM_0, FROM_0_TO_1, UP_TO_1, Metric
from dd_ray.metrics.score import ACTIVE_STILLS

if TYPE_CHECKING:
    from dd_ray.config import TrialConfig


def _draws(config: "TrialConfig") -> bool:
    return config.traits.draws


def _is_split(config: "TrialConfig") -> bool:
    return config.split != "none"


def _encodes_factors(config: "TrialConfig") -> bool:
    return config.traits.encodes and bool(config.factor_names)


def _has_latents(config: "TrialConfig") -> bool:
    return config.traits.has_latents


def _has_posteriors(config: "TrialConfig") -> bool:
    return config.traits.has_latents and config.stochastic


def _moves(config: "TrialConfig") -> bool:
    return config.traits.has_latents and config.num_latents_in_time >= 3


def _is_filtered(config: "TrialConfig") -> bool:
    return _moves(config) and config.traits.mixes_frames


_AT_EACH_EVALUATION: dict[str, Metric] = {
    "reconstruction_error": Metric(
        "Reconstruction error (per pixel)", "error per pixel", "min", within=FROM_0, of=_draws
    ),
    "reconstruction_error_seen": Metric(
        "Reconstruction error of seen data (per pixel)",
        "error, seen",
        "min",
        within=FROM_0,
        of=lambda config: _draws(config) and _is_split(config),
    ),
    "reconstruction_error_hidden": Metric(
        "Reconstruction error of frames in which something is behind the bar (per pixel)",
        "error, hidden",
        "min",
        within=FROM_0,
        of=lambda config: _draws(config) and config.occluder > 0,
    ),
    "reconstruction_error_dropped": Metric(
        "Reconstruction error of lost frames (per pixel)",
        "error, lost",
        "min",
        within=FROM_0,
        of=lambda config: _draws(config) and config.drop_rate > 0,
    ),
    "factor_error": Metric(
        "Factor error (mean squared)", "factor error", "min", within=FROM_0, of=lambda config: not _draws(config)
    ),
    "factor_error_seen": Metric(
        "Factor error of seen data (mean squared)",
        "factor error, seen",
        "min",
        within=FROM_0,
        of=lambda config: not _draws(config) and _is_split(config),
    ),
    "kl": Metric("KL (nats per frame)", "KL (nats)", None, within=FROM_0, of=_has_posteriors),
    "mutual_information": Metric(
        "Index-code mutual information (nats per frame)", "MI (nats)", None, of=_has_posteriors
    ),
    "total_correlation": Metric("Total correlation (nats per frame)", "TC (nats)", None, of=_has_posteriors),
    "gaussian_total_correlation": Metric(
        "Gaussian total correlation (nats per frame)", "Gaussian TC", None, within=FROM_0, of=_has_posteriors
    ),
    "dimension_wise_kl": Metric("Dimension-wise KL (nats per frame)", "dim. KL (nats)", None, of=_has_posteriors),
    "active_units": Metric("Active units", "units", None, within=FROM_0, of=_has_latents, count=True),
    "prediction_ratio": Metric("Prediction ratio", "ratio", None, within=FROM_0, of=_moves),
    "straightness": Metric(
        "Straightness (mean cosine of successive steps)", "straight", None, within=(-1.0, 1.0), of=_moves
    ),
    "prediction_ratio_encoder": Metric(
        "Prediction ratio, before the filter", "ratio, enc.", None, within=FROM_0, of=_is_filtered
    ),
    "straightness_encoder": Metric(
        "Straightness, before the filter", "straight, enc.", None, within=(-1.0, 1.0), of=_is_filtered
    ),
    "linear_r2": Metric("Linear R² (mean of factors)", "R²", "max", within=UP_TO_1, of=_encodes_factors),
    "mcc": Metric("MCC", "MCC", "max", within=FROM_0_TO_1, of=_encodes_factors),
    "mig": Metric("MIG", "MIG", "max", within=FROM_0_TO_1, of=_encodes_factors),
    "sap": Metric("SAP", "SAP", "max", within=FROM_0_TO_1, of=_encodes_factors),
    "loss": Metric("Objective (per video)", "objective", None, of=lambda config: True),
}

TAKEN.update(_AT_EACH_EVALUATION)

COMPARABLE = tuple(name for name in _AT_EACH_EVALUATION if name != "loss")
"""The metrics of every evaluation that mean the same in every cell of a grid, and so can be compared."""


class _Reported(Mapping[str, Metric]):
    """The metrics of every evaluation, over the held-out set, and the columns of `FURTHER` scores of the last one."""

    def __getitem__(self, name: str) -> Metric:
        return _AT_EACH_EVALUATION.get(name) or _of_further()[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*_AT_EACH_EVALUATION, *_of_further()))

    def __len__(self) -> int:
        return len(_AT_EACH_EVALUATION) + len(_of_further())


@cached_until_change
def _of_further() -> Mapping[str, Metric]:
    return {column: metric for score in FURTHER.values() for column, metric in score.all_columns.items()}


REPORTED: Mapping[str, Metric] = _Reported()
"""All metrics by their columns, including those of extensions.

Trials are ranked by those that are better one way. Others are not: the objective contains β and λ, the KL and its terms
are what β penalises, λ and γ act on the prediction ratio directly, since they straighten paths, and more active units
than factors are no gain."""


BESIDE: Mapping[str, Metric] = {
    ACTIVE_STILLS: Metric("Active units, of stills", "units, stills", None, within=FROM_0, count=True)
}
"""Columns of the table that are no scores, and yet are mapped and compared as what they count."""


def described(metric: str) -> Metric:
    """Describe a column. A part of a metric, such as linear_r2/circle_x, is ranked as the whole is."""
    whole, _, part = metric.partition("/")
    known = REPORTED.get(whole) or BESIDE.get(whole)
    if known is None:
        return Metric(metric, metric, None)
    name = f"{known.short}, {part.replace('_', ' ')}"
    return Metric(name, name, known.better, within=known.within) if part else known


def reported_by(config: "TrialConfig") -> set[str]:
    """Return the metrics of `REPORTED` that a trial reports at every evaluation."""
    return {name for name, metric in _AT_EACH_EVALUATION.items() if metric.of(config)}


def with_untrained() -> tuple[str, ...]:
    """Return the scores that are not near 0 for an untrained network, so that they must be compared with it."""
    further = _of_further()
    straight = ("straightness", "straightness_encoder")
    return tuple(n for n, metric in REPORTED.items() if metric.better == "max" or n in further or n in straight)
