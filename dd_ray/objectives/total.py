"""The objective of a trial, as the sum of its terms.

    Σ_frames ‖x − x̂‖²  +  the penalty of the latents that the config names  +  λ · ½ Σ_{t≥2} ‖μ_t − μ̂_t‖²

averaged over the videos of the batch, and minimised. The first two sums are over the frames that the model decodes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from dd_ray.config import OBJECTIVES, TrialConfig, resolve
from dd_ray.errors import UserError
from dd_ray.models import FactorPrediction, ImagePrediction, Outputs, Reconstruction
from dd_ray.objectives.posterior import Posterior, Weighted
from dd_ray.objectives.terms import (
    factor_error,
    image_error,
    original_prediction_error,
    prediction_error,
    reconstruction_error,
)
from dd_ray.objectives.weights import Weights


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The objective of a batch and its unweighted terms: scalars, averaged over videos."""

    loss: Tensor
    """The objective, which is minimised."""
    parts: dict[str, Tensor]
    """Each term without its weight, by name, and without the constants of its estimator, which are in the loss."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Terms":
        """Apply a function to the loss and to each term."""
        return Terms(loss=function(self.loss), parts={name: function(part) for name, part in self.parts.items()})


def objective(config: TrialConfig, outputs: Outputs, weights: Weights | None = None) -> Terms:
    """Compute the objective of a trial on a batch, by default with the weights of its first iteration.

    Which terms there are depends on the config alone, not on weights or data.

    Raises:
        UserError: a user's own model or objective gives something else than it is to give.
    """
    if isinstance(outputs, FactorPrediction):
        error = factor_error(outputs.predicted, outputs.target)
        return Terms(loss=error, parts={"factor_error": error})
    if isinstance(outputs, ImagePrediction):
        error = image_error(outputs.reconstruction, outputs.target)
        return Terms(loss=error, parts={"reconstruction_error": error})
    if not isinstance(outputs, Reconstruction):
        raise UserError(
            f"model = {config.model} returns a {type(outputs).__name__} from forward; return one of the classes of "
            "dd_ray.models, such as Reconstruction."
        )
    terms = _vae_terms(config, outputs, weights or Weights.at(config, 0))
    loss = terms["reconstruction"].value
    for name, term in terms.items():
        if name != "reconstruction":
            loss = loss + term.weight * term.value
    return Terms(loss=loss, parts={name: _told(term) for name, term in terms.items()})


def _told(term: Weighted) -> Tensor:
    return term.value - term.constant if term.constant else term.value


def _vae_terms(config: TrialConfig, outputs: Reconstruction, weights: Weights) -> dict[str, Weighted]:
    error = reconstruction_error(outputs.target, outputs.reconstruction, config.likelihood)
    terms = {"reconstruction": Weighted(1.0, error)}
    if config.stochastic:
        penalised = (tensor[:, outputs.kl_frames] for tensor in (outputs.mu, outputs.logvar, outputs.latents))
        penalty = resolve(OBJECTIVES[config.objective].penalty)(config, Posterior(*penalised), weights)
        _check_penalty(config, penalty)
        terms |= penalty
    if config.takes("lam"):
        faulty = config.compat == "original" and config.model == "predictive_vae"
        prediction = (
            original_prediction_error(outputs.mu) if faulty else prediction_error(outputs.mu, outputs.mu_predicted)
        )
        terms["prediction"] = Weighted(weights.lam, prediction)
    return terms


def _check_penalty(config: TrialConfig, penalty: object) -> None:
    own = f"the penalty of objective = {config.objective}"
    if not isinstance(penalty, dict) or not all(isinstance(term, Weighted) for term in penalty.values()):
        raise UserError(f"{own} returns something else than a dictionary of Weighted(weight, value) by name; give one.")
    if not penalty and (idle := OBJECTIVES[config.objective].all_reads):
        raise UserError(
            f"{own} has no term, so that it reads {', '.join(idle)} for nothing; give it a term, or let it read none."
        )
    of_model = ("reconstruction", "reconstruction_floor", *(["prediction"] if config.takes("lam") else []))
    for name, (_, value, _) in penalty.items():
        if name in of_model:
            raise UserError(f"{own} has a term {name}, which is one of the model's; give it another name.")
        if not isinstance(value, Tensor) or value.ndim:
            what = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise UserError(
                f"{own} has a term {name} whose value is {what}; give a scalar tensor, averaged over videos."
            )
