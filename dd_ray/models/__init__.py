"""The model variants. A new one is a subclass of `Model` in a file here, and a line in `VARIANTS`."""

import torch

from dd_ray.config import TrialConfig
from dd_ray.models.base import Model
from dd_ray.models.beta_vae import BetaVAE
from dd_ray.models.inertia_vae import InertiaVAE
from dd_ray.models.original import load_original
from dd_ray.models.outputs import FactorPrediction, ImagePrediction, Outputs, Reconstruction
from dd_ray.models.predictive_vae import PredictiveVAE
from dd_ray.models.supervised_decoder import SupervisedDecoder
from dd_ray.models.supervised_encoder import SupervisedEncoder
from dd_ray.models.vae import VideoVAE

__all__ = [
    "VARIANTS",
    "FactorPrediction",
    "ImagePrediction",
    "Model",
    "Outputs",
    "Reconstruction",
    "VideoVAE",
    "build_model",
    "load_original",
]

VARIANTS: dict[str, type[Model]] = {
    "supervised_encoder": SupervisedEncoder,
    "supervised_decoder": SupervisedDecoder,
    "beta_vae": BetaVAE,
    "predictive_vae": PredictiveVAE,
    "inertia_vae": InertiaVAE,
}


def build_model(config: TrialConfig) -> Model:
    """The model of a config with the initial weights of its seed.

    The seed decides the weights whatever was drawn before; the global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return VARIANTS[config.model](config)
