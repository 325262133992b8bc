"""How exactly a GPU multiplies float32 numbers."""

from typing import Literal

import torch

Precision = Literal["float32", "tf32"]


def set_precision(precision: Precision) -> None:
    """Let matrix products and convolutions of a GPU keep all 23 bits of float32, or the 10 of TF32.

    Process-wide. PyTorch's own default is TF32 for convolutions alone. A CPU always keeps all.
    """
    name = {"float32": "ieee", "tf32": "tf32"}[precision]
    torch.backends.cuda.matmul.fp32_precision = name
    torch.backends.cudnn.conv.fp32_precision = name  # type: ignore[attr-defined]
