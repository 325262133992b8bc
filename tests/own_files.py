"""Small files of one's own: squares that move over black, in grey or in colours, with factors or without."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from dd_ray.storage.arrays import fields_of_file

NUM_SAMPLES, NUM_FRAMES, SIDE = 80, 5, 32
COLOURS = np.array([[255, 60, 60], [60, 255, 60], [80, 80, 255]], np.uint8)
NAMES = ("square_x", "square_y", "hue:category")


def squares(
    num_samples: int = NUM_SAMPLES, num_frames: int = NUM_FRAMES, side: int = SIDE
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Videos uint8 [N, T, S, S, 3] of a square that moves straight on, and its place and hue [N, T, 3]."""
    rng = np.random.default_rng(5)
    ends, hues = rng.random((num_samples, 2, 2)), rng.integers(0, len(COLOURS), num_samples)
    places = np.linspace(ends[:, 0], ends[:, 1], num_frames, axis=1)
    pixels = np.arange(side) / side
    lit = (np.abs(pixels - 0.15 - 0.7 * places[..., None]) < 0.15).transpose(2, 0, 1, 3)
    inside = lit[1][..., :, None] & lit[0][..., None, :]
    images = inside[..., None] * COLOURS[hues][:, None, None, None]
    factors = np.concatenate([places, np.broadcast_to(hues[:, None, None], (*places.shape[:2], 1))], axis=-1)
    return images.astype(np.uint8), factors


def write(path: Path, **arrays: Any) -> Path:
    """An .npz of these arrays."""
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


_FOLDER = tempfile.TemporaryDirectory(prefix="dd_ray-own-")


def _fields(name: str, **arrays: Any) -> dict[str, Any]:
    return {"dataset": "arrays"} | fields_of_file(str(write(Path(_FOLDER.name) / f"{name}.npz", **arrays)))


_images, _factors = squares()
COLOUR = _fields("colour", images=_images, factors=_factors, factor_names=np.array(NAMES))
GREY = _fields("grey", images=_images.max(axis=-1), factors=_factors[..., :2], factor_names=np.array(NAMES[:2]))
BARE = _fields("bare", images=(_images / 255).astype(np.float32))
"""Fields of configs: in colour, in grey, and in colour without factors, as floats."""
