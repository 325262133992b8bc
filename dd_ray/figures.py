"""What the scripts of `analysis/` share: the field's symbols, colours that tell settings apart, writing, and `main`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
import tyro
from matplotlib.figure import Figure

from dd_ray.errors import UserError, exit_on_user_error

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
_Options = TypeVar("_Options")


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


def folder_of(path: str | Path | None, out: Path | None) -> Path:
    """Where figures go: where it is said, or into `figures`: in the folder of a sweep, or here where it is at a URL.

    Raises:
        UserError: neither is given.
    """
    if out is not None:
        return out
    if path is None:
        raise UserError("nowhere to write to; without a sweep, give --out FOLDER.")
    return (Path() if "://" in str(path) else Path(path).expanduser().absolute()) / "figures"


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


def run_command(
    options: type[_Options],
    write_files: Callable[[_Options], Sequence[Path]],
    about: str | None,
    args: list[str] | None,
) -> None:
    """A script's `main`: read its options, write its files and print where they are.

    Args:
        options: dataclass of the options.
        write_files: what the script does with them.
        about: what `--help` says of it.
        args: the command line; that of the process where it is None.
    """
    asked = tyro.cli(options, args=args, description=about)
    with exit_on_user_error():
        for path in write_files(asked):
            print(path)
