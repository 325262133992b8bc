"""What the figures of `analysis/` share: the field's symbols, colours that tell settings apart, and writing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dd_ray.errors import UserError

SYMBOLS = {"beta": "β", "beta_norm": "β$_{\\mathrm{norm}}$", "gamma": "γ", "lam": "λ", "alpha": "α"}
MARKS = {
    "failed": ("F", "failed"),
    "diverged": ("D", "diverged"),
    "undefined": ("–", "the metric is undefined"),
    "unfinished": ("U", "unfinished"),
    "stopped_early": ("S", "stopped early"),
    "absent": ("·", "not part of the sweep"),
    "complete": ("", "complete"),
}
"""Letter and meaning of each mark of `dd_ray.summary`, the worst first."""
DPI = 150
_PALEST = 0.88
"""Part of viridis that is used on white; what is above is too pale to be seen there."""

Colour = tuple[float, float, float, float]


def symbol(field: str) -> str:
    """A config field as it is written on an axis."""
    return SYMBOLS.get(field, field.replace("_", " "))


def shown(value: Any) -> str:
    """A config value as it is written on an axis."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting(values: Mapping[str, Any]) -> str:
    """Config values in words: `β = 0.1, γ = 0.5, seed 0`."""
    return ", ".join(
        f"{symbol(field)}{' ' if field == 'seed' else ' = '}{shown(value)}" for field, value in values.items()
    )


def ordered_colours(number: int) -> list[Colour]:
    """Colours for ordered values, dark to bright, that stay apart for the colour-blind and in grey."""
    return [mpl.colormaps["viridis"](place) for place in np.linspace(0, _PALEST, max(number, 2))[:number]]


def folder_of(path: Path | None, out: Path | None) -> Path:
    """Where figures go: where it is said, or into `figures` in the folder of a sweep.

    Raises:
        UserError: neither is given.
    """
    if out is None and path is None:
        raise UserError("nowhere to write to; without a sweep, give --out FOLDER.")
    return out or (path or Path()).expanduser().absolute() / "figures"


def write(folder: Path, figures: Mapping[str, Figure], tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Write figures as NAME.png and tables as NAME.csv, and return their paths.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=DPI)
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another --out.") from error
    return [folder / f"{name}.png" for name in figures] + [folder / f"{name}.csv" for name in tables]
