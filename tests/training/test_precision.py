"""All of PyTorch's switches for how a GPU multiplies agree, whichever was asked for before."""

import pytest
import torch

from dd_ray.training import set_precision


@pytest.fixture(autouse=True)
def as_before():
    """Other tests have PyTorch's own defaults, but for what it cannot say any more."""
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False


def test_the_switches_agree():
    for precision in ("float32", "tf32", "tf32", "float32"):
        set_precision(precision)
        fast = precision == "tf32"
        assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is fast
        kinds = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
        assert [kind.fp32_precision for kind in kinds] == [{True: "tf32", False: "ieee"}[fast]] * 3
        with torch.backends.cudnn.flags(enabled=True, deterministic=True):  # which asks for all of them
            pass
