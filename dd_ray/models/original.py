"""Loads weights of the original study (github.com/zahariaa/disentangled-dynamics) into the models of this package."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.config.urls import check_regular
from dd_ray.errors import UserError, first_line
from dd_ray.models.beta_vae import BetaVAE
from dd_ray.models.supervised_encoder import SupervisedEncoder

_ENCODER = {f"conv{i + 1}": f"convs.{i}" for i in range(4)}
_DECODER = {f"convT{4 - i}": f"decoder.convs.{i}" for i in range(4)} | {"fc_dec": "decoder.linear"}
_VAE_NAMES = (
    {theirs: f"encoder.features.{ours}" for theirs, ours in _ENCODER.items()}
    | _DECODER
    | {"fc_enc_mu": "encoder.mu", "fc_enc_logvar": "encoder.logvar"}
)
_SUPERVISED_NAMES = {theirs: f"features.{ours}" for theirs, ours in _ENCODER.items()} | {"fc": "factors"}
_NEVER_USED = {"fc_enc_mu_pred"}  # a layer of their predictive VAE that was not used

# Errors that a file raises which is not such a checkpoint, here or in torch.load.
_FOREIGN = (
    UserError,
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)


def translate_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the entries of the original's state dict, of any of its networks, to the names of this package.

    Raises:
        UserError: a name is not one of the original's.
    """
    names = _SUPERVISED_NAMES if "fc.weight" in weights else _VAE_NAMES
    translated = {}
    for name, value in weights.items():
        layer, _, kind = name.rpartition(".")
        if layer in _NEVER_USED:
            continue
        if layer not in names:
            raise UserError(f"layer {name!r} is not of the original's networks; expected {', '.join(names)}.")
        translated[f"{names[layer]}.{kind}"] = torch.as_tensor(value)
    return translated


def load_original(path: str | Path) -> BetaVAE | SupervisedEncoder:
    """Load one of the original's trained networks, ready to encode and decode.

    Args:
        path: a checkpoint of its training script, with weights under `model_states` / `net`.

    Returns:
        A `BetaVAE` with as many latents as the checkpoint has, or a `SupervisedEncoder`, whose outputs are in the order
        of `dd_ray.data.FACTORS`. β is not in the file, and is not needed to use the network.

    Raises:
        UserError: the file cannot be read, or is not such a checkpoint.
    """
    try:
        check_regular(Path(path))
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        weights = checkpoint["model_states"]["net"]
        model = _network_of(translate_weights(weights))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    except KeyError as error:
        raise UserError(f"{path} is not a checkpoint of the original study: it holds no {error}.") from error
    except _FOREIGN as error:
        raise UserError(f"{path} is not a checkpoint of the original study: {first_line(error)}.") from error
    return model


def _network_of(weights: dict[str, Tensor]) -> BetaVAE | SupervisedEncoder:
    """Build the network of these weights, which have the names of this package."""
    model: BetaVAE | SupervisedEncoder
    if "factors.weight" in weights:
        model = SupervisedEncoder(TrialConfig(model="supervised_encoder", dataset="still_circles"))
    else:
        num_latents = len(weights["encoder.mu.bias"])
        model = BetaVAE(TrialConfig(model="beta_vae", dataset="still_circles", beta=0, num_latents=num_latents))
    # α is a setting here, and was not part of the original's state.
    missing, _ = model.load_state_dict(weights, strict=False)
    if absent := [name for name in missing if name != "alpha"]:
        raise KeyError(absent[0])
    return model
