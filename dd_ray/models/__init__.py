"""The model variants: a subclass of `Model` a file, each declared in `dd_ray/config/models.py`."""

import threading

import torch

from dd_ray.config import MODELS, TrialConfig, resolve
from dd_ray.models.base import Model
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
    "load_original",
]

_ONE_AT_A_TIME = threading.RLock()
"""Initial weights are drawn from the one generator of the process."""


def build_model(config: TrialConfig) -> Model:
    """Build the model of a config with the initial weights of its seed.

    The weights depend on the seed alone, also where several threads build models, and the state of the global generator
    is restored.
    """
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model: Model = resolve(MODELS[config.model].build)(config)
        return model
