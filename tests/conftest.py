"""What all tests share."""

import os
from pathlib import Path

import pytest
import torch

# The networks are small, and tests may run beside each other: more threads only get in each other's way.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What draws from PyTorch's own generator draws the same each time."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with the original study's images, outputs, checkpoints and numbers."""
    folder = os.environ.get("DD_RAY_REFERENCE")
    if not folder:
        pytest.skip("needs the original's numbers: set DD_RAY_REFERENCE to the folder with model_outputs.npz")
    return Path(folder)
