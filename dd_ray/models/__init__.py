"""The model variants: a subclass of `Model` a file, each declared in `dd_ray/config/models.py`."""

import threading

import torch

from dd_ray.config import MODELS, TrialConfig, resolve
from dd_ray.config.extensions import naming, own_code_of
from dd_ray.errors import UserError
from dd_ray.models.base import Model, device_of
from dd_ray.models.original import load_original
from dd_ray.models.outputs import FactorPrediction, ImagePrediction, Outputs, Reconstruction
from dd_ray.models.vae import VideoVAE

__all__ = [
    "FactorPrediction",
    "ImagePrediction",
    "Model",
    "Outputs",
    "Reconstruction",
    "VideoVAE",
    "build_model",
    "device_of",
    "load_original",
]

_ONE_AT_A_TIME = threading.RLock()
"""Initial weights are drawn from the one generator of the process."""


def build_model(config: TrialConfig) -> Model:
    """Build the model of a config with the initial weights of its seed.

    The weights depend on the seed alone, also where several threads build models, and the state of the global generator
    is restored.

    Raises:
        UserError: a user's own model is not a `Model`, has no parameter, or raises an error.
    """
    own = own_code_of(config, "model", "network")
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]), naming(own):
        torch.manual_seed(config.seed)
        model = resolve(MODELS[config.model].build)(config)
    if not isinstance(model, Model):
        raise UserError(
            f"model = {config.model} builds a {type(model).__name__}; let its class be a subclass of "
            "dd_ray.models.Model, or of VideoVAE."
        )
    if "_parameters" not in vars(model):
        raise UserError(f"model = {config.model} is no module yet; begin its __init__ with super().__init__(config).")
    if next(model.parameters(), None) is None:
        raise UserError(f"model = {config.model} has no parameter, and so nothing to train; give it one.")
    return model
