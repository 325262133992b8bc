"""Sets how exactly a GPU multiplies float32 numbers."""

import warnings
from typing import Any, Literal

import torch

Precision = Literal["float32", "tf32"]


def set_precision(precision: Precision) -> None:
    """Let matrix products and convolutions on a GPU use all 23 bits of float32, or the 10 of TF32.

    It holds for the whole process. PyTorch's own default is TF32 for convolutions alone. A CPU always uses all bits.
    """
    exact = precision == "float32"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of which of its two kinds of switches PyTorch would rather have set
        # These set those below as well, but not the other way round; `torch.backends.cudnn.flags` asks both, and raises
        # where they differ.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
    switches: Any = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)  # type: ignore[attr-defined]
    for switch in switches:
        switch.fp32_precision = "ieee" if exact else "tf32"
