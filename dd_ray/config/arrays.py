"""A user's own arrays: the config fields that name their file, and what is recorded of it.

data_file      where they lie
data_factors   their factors: `x,y,shape:category,angle:period=360`
data_contents  their checksum and sizes: `sha256:0123456789abcdef0123456789abcdef 1000x10x32x32x3`

The last two are filled in when the file is opened (`dd_ray.storage.arrays`), so that a config tells shapes and factors
without the file.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from dd_ray.config.names import NUM_HELD_OUT
from dd_ray.config.networks import NETWORKS
from dd_ray.config.urls import absolute_path
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig

HELD_OUT_SHARE = 10
"""One of this many videos (or still pictures) is held out, but no more than `NUM_HELD_OUT` in all."""
FEWEST_SAMPLES = 2 * HELD_OUT_SHARE
"""The fewest samples of a file. Two are held out of them: one to fit scores on, one to compute them."""
_CONTENTS = re.compile(r"sha256:([0-9a-f]{32}) ([0-9]{1,18})x([0-9]{1,18})x([0-9]{1,18})x([0-9]{1,18})x([0-9]{1,18})")
_FACTOR = re.compile(r"(?P<name>[^:]+?)(:(?P<category>category)|:period=(?P<period>[^:]+))?")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of a file: N videos of T frames of H×W pixels in C channels. A still picture has one frame."""

    digest: str
    """The first 32 hexadecimal digits of the SHA-256 of images and factors."""
    num_samples: int
    num_frames: int
    height: int
    width: int
    channels: int

    @classmethod
    @lru_cache
    def of(cls, text: str) -> Self:
        """Read what `str` writes.

        Raises:
            UserError: the text is not of this form.
        """
        found = _CONTENTS.fullmatch(text)
        if not found:
            raise UserError(f"data_contents = {text} describes no file; leave it out, and it is filled in.")
        digest, *sizes = found.groups()
        return cls.of_shape(digest, list(map(int, sizes)))

    @classmethod
    def of_shape(cls, digest: str, shape: Sequence[int]) -> Self:
        """Describe images of shape [N, T, H, W, C]."""
        num_samples, num_frames, height, width, channels = shape
        return cls(
            digest=digest,
            num_samples=num_samples,
            num_frames=num_frames,
            height=height,
            width=width,
            channels=channels,
        )

    def __str__(self) -> str:
        sizes = (self.num_samples, self.num_frames, self.height, self.width, self.channels)
        return f"sha256:{self.digest} {'x'.join(map(str, sizes))}"

    @property
    def num_held_out(self) -> int:
        """Number of videos that training never sees."""
        return min(NUM_HELD_OUT, self.num_samples // HELD_OUT_SHARE)

    @property
    def in_words(self) -> str:
        """A description such as `1,000 videos of 10 frames of 32×32 pixels in colour`."""
        what = "still pictures" if self.num_frames == 1 else f"videos of {self.num_frames} frames"
        colour = "in colour" if self.channels > 1 else "in grey"
        if (self.num_frames, self.channels) == (3, 1):
            colour += " (their three frames are in time; give still pictures in colour as [N, H, W, 3])"
        return f"{self.num_samples:,} {what} of {self.height}×{self.width} pixels {colour}"


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor of a file."""

    name: str
    category: bool = False
    """True if its values are categories, which have no order."""
    period: float | None = None
    """The period: a number that can be added to its values without changing the picture. None if there is none."""

    def __str__(self) -> str:
        kind = ":category" if self.category else f":period={self.period:.17g}" if self.period else ""
        return self.name + kind


@lru_cache
def factors_of(text: str, source: str = "data_factors") -> tuple[Factor, ...]:
    """Parse the factors that a text declares, each NAME, NAME:category or NAME:period=P, separated by commas.

    Args:
        text: the declaration.
        source: where the text is from, as an error names it.

    Raises:
        UserError: the text declares no factor, or a name twice.
    """
    factors = tuple(_factor(part.strip(), source) for part in text.split(","))
    names = [factor.name for factor in factors]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{source} = {text} names {twice[0]} twice; give each factor a name of its own.")
    return factors


def _factor(text: str, source: str) -> Factor:
    found = _FACTOR.fullmatch(text)
    if not found or not found["name"].isidentifier():
        raise UserError(
            f"{source}: {text!r} declares no factor; give NAME, NAME:category or NAME:period=P, with names of "
            "letters, digits and _."
        )
    if found["period"] is None:
        return Factor(name=found["name"], category=found["category"] is not None)
    try:
        period = float(found["period"])
    except ValueError:
        period = math.nan
    if not 0 < period < math.inf:
        raise UserError(f"{source}: {text!r} has no period; give a positive number, as in angle:period=360.")
    return Factor(name=found["name"], period=period)


def contents_of(config: "TrialConfig") -> Contents | None:
    """Return the contents of a config's file; None if its data come from no such file.

    Raises:
        UserError: the config names a file but does not record its contents.
    """
    if config.dataset != "arrays":
        return None
    if not config.data_file:
        raise UserError(
            "arrays needs data_file, the path of an .npz file or of a folder of .npy files with images, and perhaps "
            "factors and factor_names."
        )
    if not config.data_contents:
        raise UserError(
            "arrays needs data_contents, a record of what data_file holds; take data_file, data_factors and "
            "data_contents from dd_ray.storage.arrays.fields_of_file(PATH)."
        )
    return Contents.of(config.data_contents)


def factor_names(config: "TrialConfig") -> tuple[str, ...]:
    """Return the names of the factors of a config's file; an empty tuple if it has none."""
    return tuple(factor.name for factor in factors_of(config.data_factors)) if config.data_factors else ()


def check_arrays(config: "TrialConfig") -> None:
    """Raise a `UserError` if the file is not named, or other fields do not suit its contents.

    Make its path absolute as well, since workers run in other folders.
    """
    contents = contents_of(config)
    assert contents and config.data_file
    object.__setattr__(config, "data_file", absolute_path("data_file", config.data_file))
    if contents.height != config.image_size:
        networks = [name for name, network in NETWORKS.items() if contents.height in network.image_sizes]
        raise UserError(
            f"image_size = {config.image_size} is not that of data_file, whose images are of {contents.height}×"
            f"{contents.width}; give image_size = {contents.height}, with network = {' or '.join(networks)}."
        )
    if factor_names(config):
        return
    if config.model in ("supervised_encoder", "supervised_decoder"):
        raise UserError(f"{config.model} needs factors, and data_file has none; add an array factors, or use a VAE.")
    if config.split == "levels":
        raise UserError("split = levels needs factors, and data_file has none; use split = samples.")
