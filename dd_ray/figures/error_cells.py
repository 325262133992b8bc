"""Reconstruction errors of cells by region, with those that the original study published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from dd_ray.config.labels import parts_of, with_parts
from dd_ray.config.symbols import setting
from dd_ray.data import Regions
from dd_ray.data.rendering import CANVAS, CIRCLE_MARGIN, CIRCLE_RANGE, IMAGE
from dd_ray.errors import UserError
from dd_ray.evaluation import PicturedRegions, region_errors
from dd_ray.probes.networks import Network
from dd_ray.probes.side_by_side import side_by_side
from dd_ray.storage.archives import DAMAGE

POSITIONS = np.linspace(0, 1, 8)
"""Number of positions on each axis, as in the original study's numbers."""
PUBLISHED = "region_errors.npz"
BIN_WIDTH = 2.0
"""Width, in pixels of 32×32, of the bins of distances in which errors are averaged."""
REGIONS = dict(zip(Regions._fields, ("inside the circle", "edge of the circle", "background"), strict=True))
MAPS = {
    "inside": ("circle", "inside\nover circle positions"),
    "edge": ("circle", "edge\nover circle positions"),
    "background": ("circle", "background\nover circle positions"),
    "background of the Gaussian": ("background", "background\nover Gaussian positions"),
}
"""Panels of a row: the positions along x and y, and the title."""
Errors = dict[str, NDArray[np.floating]]
"""Errors by region, [S, 8, 8, 8, 8]: seeds, background_x, background_y, circle_x, circle_y."""


@dataclass(frozen=True)
class CellErrors:
    """The errors of networks that differ in their seed alone."""

    name: str
    settings: Mapping[str, Any]
    states: str
    """States of all seeds, such as `finished@300 stopped_early@150`."""
    note: str
    """A remark about seeds that did not finish, or about where the network is from."""
    complete: bool
    errors: Errors
    """Errors of the seeds that got furthest."""
    published: Mapping[str, NDArray[np.floating]] | None = None
    """The published errors by region, [8, 8, 8, 8]."""

    @cached_property
    def distances(self) -> pd.DataFrame:
        """Its errors over the distance of circle and Gaussian, see `over_distances`."""
        return over_distances(self)

    @property
    def label(self) -> str:
        """Its name on an axis."""
        return "\n".join(filter(None, [setting(self.settings) or self.name, self.note]))


def grid() -> NDArray[np.float64]:
    """Return factors [4096, 4] of the pictures, in the order of the published errors."""
    background_x, background_y, circle_x, circle_y = np.meshgrid(*[POSITIONS] * 4, indexing="ij")
    return np.stack([circle_x, circle_y, background_x, background_y], axis=-1).reshape(-1, 4)


def distances() -> NDArray[np.float64]:
    """Return distances [8, 8, 8, 8] of the centres of circle and Gaussian, in pixels of a picture of 32×32."""
    factors = grid()
    circles, gaussians = CIRCLE_RANGE * factors[:, :2] + CIRCLE_MARGIN, CANVAS * factors[:, 2:]  # px of the canvas
    apart = (circles - gaussians) / (CANVAS / IMAGE)
    return np.linalg.norm(apart, axis=1).reshape((len(POSITIONS),) * 4)


def measure(subjects: Sequence[Network]) -> list[CellErrors]:
    """Compute the errors of networks, and group those that differ in their seed alone."""
    groups: dict[tuple[Any, ...], list[Network]] = {}
    for subject in subjects:
        alone = subject.name if subject.state == "original" else ""
        groups.setdefault((alone, *subject.cell), []).append(subject)
    at_end = {key: _furthest(group) for key, group in groups.items()}
    furthest = [*chain.from_iterable(at_end.values())]
    sizes = {subject.config.image_size for subject in furthest}
    pictured = {size: PicturedRegions.of(grid(), size) for size in sizes}
    asked = side_by_side(lambda one: region_errors(one.model, pictured[one.config.image_size]), furthest)
    # The bar shows on a terminal only.
    errors = iter(tqdm(asked, total=len(furthest), desc="networks", disable=None, leave=False))
    end = max((subject.iteration or 0 for subject in subjects if subject.state == "finished"), default=0)
    return [_cell(dict(key[1:]), group, [*islice(errors, len(at_end[key]))], end) for key, group in groups.items()]


def _last(group: Sequence[Network]) -> int:
    """Return the iteration of the networks of a cell that got furthest."""
    return max(subject.iteration or 0 for subject in group)


def _furthest(group: Sequence[Network]) -> list[Network]:
    last = _last(group)
    return [subject for subject in group if (subject.iteration or 0) == last]


def _cell(
    settings: Mapping[str, Any],
    group: Sequence[Network],
    errors: Sequence[Mapping[str, NDArray[np.floating]]],
    end: int,
) -> CellErrors:
    """Put the errors of the networks of a cell that got furthest together; `end` is the iteration of `_note`."""
    shape = (len(errors), *(len(POSITIONS),) * 4)
    together = {region: np.stack([e[region] for e in errors]).reshape(shape) for region in REGIONS}
    states = [s.state if s.iteration is None else f"{s.state}@{s.iteration}" for s in group]
    states += group[0].lost_seeds
    name = group[0].name
    if group[0].state != "original":
        name = with_parts({part: value for part, value in parts_of(name).items() if part != "seed"})
    return CellErrors(name, settings, " ".join(states), *_note(group, _last(group), end), together)


def _note(group: Sequence[Network], furthest: int, end: int) -> tuple[str, bool]:
    """Return a remark about the seeds of a cell, and whether all have finished.

    Where a sweep has been extended in part, what finished before its `end` is unfinished, as in a map.
    """
    if group[0].state == "original":
        return "original study", True
    states = ["unfinished" if one.state == "finished" and (one.iteration or 0) < end else one.state for one in group]
    ended = {*states, *group[0].lost_seeds} - {"finished"}
    words = " or ".join(state.replace("_", " ") for state in sorted(ended))
    at_end = [state for one, state in zip(group, states, strict=True) if one.iteration == furthest]
    if not words:
        return "", True
    if set(at_end) == {"finished"}:
        return f"{len(at_end)} of {len(group) + len(group[0].lost_seeds)} seeds; the rest {words}", False
    return f"{words} at iteration {furthest:,}", False


@dataclass(frozen=True)
class Published:
    """The errors that the original published, a number for each network and position."""

    beta_norm: list[float]
    """Of each network."""
    errors: Mapping[str, NDArray[np.floating]]
    """By region, [B, 8, 8, 8, 8]: networks, and positions as of `Errors`."""

    @classmethod
    def read(cls, folder: Path) -> "Published":
        """Read the file in a folder of the original study; if there is none, nothing was published.

        Raises:
            UserError: the file cannot be read, or holds something else.
        """
        path = folder / PUBLISHED
        if not path.is_file():
            return cls([], {})
        try:
            with np.load(path, allow_pickle=False) as archive:
                beta_norm = archive["beta_norm"].tolist()
                errors = {region: archive[region] for region in REGIONS}
            if {array.shape for array in errors.values()} != {(len(beta_norm), *(len(POSITIONS),) * 4)}:
                raise ValueError("its arrays have other shapes")
        except (OSError, *DAMAGE) as error:
            raise UserError(f"{path} does not hold the original's published errors ({error}).") from error
        return cls(beta_norm, errors)

    def beside(self, cell: CellErrors) -> CellErrors:
        """Add them to a cell if it is one of the original's networks; others stay as they are."""
        beta = cell.settings.get("beta_norm")
        if cell.states != "original" or beta not in self.beta_norm:
            return cell
        at = self.beta_norm.index(beta)
        return replace(cell, published={region: array[at] for region, array in self.errors.items()})


def means_of_seeds(errors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return each seed's mean error over all positions, [S]."""
    return errors.reshape(len(errors), -1).mean(axis=1, dtype=np.float64)


def over_positions(cell: CellErrors) -> dict[str, NDArray[np.float64]]:
    """Return the errors [x, y] for each of `MAPS`, averaged over seeds and the other two axes."""
    averaged = {"circle": (0, 1, 2), "background": (0, 3, 4)}
    return {
        name: cell.errors[name.split()[0]].mean(axis=averaged[thing], dtype=np.float64)
        for name, (thing, _) in MAPS.items()
    }


def over_distances(cell: CellErrors) -> pd.DataFrame:
    """Return errors of each region by the distance of circle and Gaussian, over all positions and seeds.

    Columns: `region`, `distance` (the middle of its bin, in pixels), `error` (mean), `lower_quartile`,
    `upper_quartile`, and `pictures`, the number at that distance.
    """
    bins = np.floor(distances() / BIN_WIDTH)
    parts = []
    for region, errors in cell.errors.items():
        values = pd.DataFrame({"bin": np.tile(bins.ravel(), len(errors)), "error": errors.ravel().astype(float)})
        grouped = values.groupby("bin")["error"]
        columns = {
            "region": region,
            "distance": (np.unique(bins) + 0.5) * BIN_WIDTH,
            "error": grouped.mean(),
            "lower_quartile": grouped.quantile(0.25),
            "upper_quartile": grouped.quantile(0.75),
            "pictures": grouped.size() // len(errors),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)
