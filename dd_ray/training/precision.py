"""Sets how exactly a GPU computes."""

import warnings
from typing import Any

import torch
from torch import Tensor

from dd_ray.config.names import Precision
from dd_ray.errors import UserError
from dd_ray.models.networks.layers import keep_images_as


def set_precision(precision: Precision, device: torch.device | None = None) -> None:
    """Set what matrix products and convolutions on a GPU multiply: all 23 bits of float32, or the 10 of TF32.

    With bf16, convolutions multiply the 7 bits of bfloat16, and the images between them are kept so, which halves what
    is read and written; all other products are those of tf32. Weights, latents, the images that a decoder draws,
    losses and the optimiser are float32.

    It holds for the whole process. PyTorch's own default is TF32 for convolutions alone. A CPU always uses all bits.

    Args:
        precision: what is multiplied.
        device: device that will compute; not checked where it is None.

    Raises:
        UserError: the device does not multiply bfloat16.
    """
    if precision == "bf16" and device is not None and not has_bfloat16(device):
        raise UserError("--precision bf16 needs a GPU of NVIDIA's Ampere generation or later; take tf32 or float32.")
    keep_images_as(torch.bfloat16 if precision == "bf16" else torch.float32)
    exact = precision == "float32"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of which of its two kinds of switches PyTorch would rather have set
        # These set those below as well, but not the other way round; `torch.backends.cudnn.flags` asks both, and raises
        # where they differ.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
    switches: Any = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)  # type: ignore[attr-defined]
    for switch in switches:
        switch.fp32_precision = "ieee" if exact else "tf32"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device is a GPU that multiplies bfloat16."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def multiplies_tf32() -> bool:
    """Return whether this process lets a GPU multiply fewer bits than those of float32."""
    return bool(torch.backends.cuda.matmul.fp32_precision == "tf32")


def cut_to_tf32(numbers: Tensor) -> Tensor:
    """Return float32 numbers without the 13 bits that TF32 lacks, as tensor cores read what no library has rounded."""
    return (numbers.view(torch.int32) & -(2**13)).view(torch.float32)
