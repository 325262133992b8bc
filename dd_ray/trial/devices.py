"""Finds the device on which a trial is trained."""

import torch

from dd_ray.errors import UserError


def device_named(name: str) -> torch.device:
    """Return the device of a name.

    Raises:
        UserError: the name is of a GPU, and PyTorch finds none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("this trial was given a share of a GPU, but its PyTorch finds none; install one with CUDA.")
    return torch.device(name)
