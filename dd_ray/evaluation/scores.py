"""Computes the scores of `dd_ray.metrics.FURTHER` for a model, and for its initial network, from still pictures."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.config import DATASETS, TrialConfig
from dd_ray.config.extensions import own_code_of
from dd_ray.evaluation.stills import encode_stills, encode_test_stills
from dd_ray.metrics import FURTHER, Code, applicable, columns_of, further_scores
from dd_ray.models import Model, build_model


def model_scores(model: Model, config: TrialConfig, names: Sequence[str]) -> dict[str, float]:
    """Compute further scores of a network from 10,000 held-out still pictures, and from more if a score needs them.

    Still pictures give a video model its encoder's own code, without the effect of its filter on motion, so that scores
    can be compared across γ and with models of still pictures.

    Args:
        model: the network, on any device.
        config: config of the network.
        names: keys of `dd_ray.metrics.FURTHER`; scores for which the data lacks the factors are left out.

    Returns:
        Values by column; empty if latents are not finite, or the model has no code.
    """
    code = code_of(model, config)
    return {} if code is None else further_scores(names, code)


def code_of(model: Model, config: TrialConfig) -> Code | None:
    """Return the network's code, from which further scores are computed; None if it has none, or it is not finite."""
    if not model.traits.encodes:
        return None
    latents, factors = encode_test_stills(model, config)
    if not np.isfinite(latents).all():
        return None
    return Code(
        latents=latents,
        factors=factors,
        factor_names=config.factor_names,
        encode=_remembering(lambda more: encode_stills(model, config, more)) if _is_drawn(config) else None,
    )


def untrained_scores(config: TrialConfig, names: Sequence[str], device: torch.device | str = "cpu") -> dict[str, float]:
    """Compute the scores of a config's network before its training, with the weights of its seed.

    There are none of one that begins with the weights of another, since it never was untrained.

    A process computes them once for trials that begin with the same weights, such as those that differ in β, γ or λ;
    but for each trial of a model or network of a user's own, whose code may depend on any of its options.
    """
    if config.warm_start_weights is not None:
        return {}
    model = initial_model(config, device)
    names = applicable(names, config.factor_names, _is_drawn(config))
    known = _untrained.setdefault(_digest(model, config), {})
    if missing := [name for name in names if not FURTHER[name].all_columns.keys() <= known.keys()]:
        known |= model_scores(model, config, missing)
    return columns_of(names, known)


def initial_model(config: TrialConfig, device: torch.device | str = "cpu") -> Model:
    """Build the network of a config before its training, with the weights of its seed."""
    return build_model(config).to(device).eval()


def initial_digest(config: TrialConfig) -> str:
    """Return a digest that is equal for configs whose networks begin alike and are scored on the same data."""
    return _digest(initial_model(config), config)


def _is_drawn(config: TrialConfig) -> bool:
    return DATASETS[config.dataset].drawn


_untrained: dict[str, dict[str, float]] = {}


def _digest(model: Model, config: TrialConfig) -> str:
    weights = [parameter.detach().cpu().contiguous().numpy().tobytes() for parameter in model.parameters()]
    own = config.key if own_code_of(config, "model", "network") else ""
    return hashlib.sha256(b"".join([own.encode(), repr(config.data).encode(), *weights])).hexdigest()


def _remembering(encode: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Cache an encoder, since the scores of all latents and of the active ones ask for the same pictures."""
    answers: dict[bytes, NDArray[Any]] = {}

    def remembering(factors: NDArray[Any]) -> NDArray[Any]:
        question = hashlib.sha256(factors.tobytes()).digest()
        if question not in answers:
            answers[question] = encode(factors)
        return answers[question]

    return remembering
