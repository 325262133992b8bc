"""The scores that are computed once, at the end of a trial or later, by the names that they have on a command line.

Each takes a network as a `Code`: its latents of still pictures with independent uniform factors, and a function that
encodes more pictures.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dd_ray.config.declarations import KINDS, TAKEN
from dd_ray.config.names import ONE_CIRCLE_FACTORS
from dd_ray.config.specs import Registry
from dd_ray.config.trial_fields import REGISTRIES
from dd_ray.metrics.arrays import Mask, mean_of_factors
from dd_ray.metrics.beta_vae import beta_vae_score
from dd_ray.metrics.blocks import block_separation
from dd_ray.metrics.dci import dci
from dd_ray.metrics.factor_vae import factor_vae_score
from dd_ray.metrics.interventions import Encode
from dd_ray.metrics.mcc import mean_correlation_coefficient
from dd_ray.metrics.metric import FROM_0_TO_1, UP_TO_1, Metric
from dd_ray.metrics.mig import mig, mig_equal_width
from dd_ray.metrics.modularity import modularity
from dd_ray.metrics.notebook import (
    mean_squared_cross_correlation,
    mean_squared_sweep_correlation,
    notebook_sweeps,
)
from dd_ray.metrics.regression import linear_r2, linear_r2_of_few, nonlinear_r2
from dd_ray.metrics.sap import sap
from dd_ray.metrics.score import ACTIVE_STILLS, Code, ScoreSpec

ASKED_SCORES = ("auto", "all", "none")
"""Words that ask for scores of the last evaluation beside their names, and which no score may have as a name."""
FEW_LABELS = (30, 100, 1_000)
"""Numbers of labelled points that a read-out is fitted on."""


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
            applies=lambda names: tuple(names) == ONE_CIRCLE_FACTORS,  # its numbers are published for these alone
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
