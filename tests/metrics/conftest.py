"""What the tests of metrics share: the reference's numbers, and codes and networks that are scored many times."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dd_ray.data import FACTORS, Batch, render_circles
from dd_ray.models import load_original
from dd_ray.objectives import kl_divergence
from tests.metrics.codes import CODES, NUM_POINTS, Array


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def factors(rng) -> Array:
    return rng.random((NUM_POINTS, 4))


@pytest.fixture(scope="session")
def numbers(reference: Path) -> dict[str, Any]:
    return json.loads((reference / "numbers.json").read_text())


@pytest.fixture(scope="session")
def coded() -> Callable[..., tuple[Array, Array]]:
    """Latents and factors of a code by its name, of the draw asked for."""

    @cache
    def of(name: str, draw: int = 0) -> tuple[Array, Array]:
        rng = np.random.default_rng(draw)
        factors = rng.random((NUM_POINTS, 4))
        return CODES[name](factors, rng), factors

    return of


@dataclass(frozen=True)
class Network:
    """One of the original's trained networks, and what it makes of random pictures."""

    encode: Callable[[Array], Array]
    """Factors [N, F] to latents [N, L]."""
    factors: Array
    latents: Array
    kl: Array | None
    """[L] nats, of a VAE."""


@pytest.fixture(scope="session")
def network(reference: Path) -> Callable[[str], Network]:
    """A trained network by the name of its checkpoint."""
    factors = np.random.default_rng(0).random((NUM_POINTS, 4))  # as the reference drew them
    pictures = _rendered(factors)

    @cache
    def of(checkpoint: str) -> Network:
        model = load_original(reference / "checkpoints" / checkpoint)
        latents, kl = _encoded(model, pictures)
        return Network(lambda f: _encoded(model, _rendered(f))[0], factors, latents, kl)

    return of


def _rendered(factors: Array) -> Batch:
    images = torch.from_numpy(render_circles(factors))[:, None, None] / 255
    return Batch(images, torch.from_numpy(factors)[:, None], FACTORS)


@torch.inference_mode()
def _encoded(model: Any, pictures: Batch) -> tuple[Array, Array | None]:
    if not hasattr(model, "encode"):
        return model(pictures).predicted[:, 0].numpy(), None
    # In parts, whose layers stay in a processor's caches.
    parts = [model.encode(part.images) for part in pictures.split(500)]
    mu, logvar = (torch.cat(moments)[:, 0] for moments in zip(*parts, strict=True))
    return mu.numpy(), kl_divergence(mu, logvar).mean(dim=0).numpy()


GROUPS = tuple(name.split("_")[0] for name in FACTORS)
"""circle and background, the group of each factor."""
