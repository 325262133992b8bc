"""Opens a user's own images: an .npz, or a folder of .npy files, which is memory-mapped.

It needs no PyTorch, so that a command can check the file before Ray starts.

    images        [N, T, H, W] or [N, T, H, W, 3] videos, or [N, H, W] or [N, H, W, 3] still pictures; uint8, or floats
                  in [0, 1]
    factors       [N, F] or [N, T, F], or none
    factor_names  [F], as `dd_ray.config.arrays.factors_of` reads them

The whole file is checked when a process first opens it. Its factors are scaled to [0, 1], like those of all datasets:
by the smallest and largest value of each; a category by the ranks of its values; a periodic factor by its period.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.config.arrays import FEWEST_SAMPLES, Contents, Factor, factors_of
from dd_ray.config.urls import absolute_path, check_regular
from dd_ray.errors import UserError
from dd_ray.storage.archives import DAMAGE

NAMES = ("images", "factors", "factor_names")
"""Names of the arrays in a file; an .npy file has the name of its array."""
SIDES = (32, 64)
"""Heights and widths of images that there are networks for."""
_COLOURS = 3
_BYTES_AT_A_TIME = 2**26
_TYPES = (np.uint8, np.float16, np.float32, np.float64)
"""Types of images, which PyTorch has as well; bytes in another order and longer floats it has not."""
_ARRAYS = (b"PK", b"\x93NUMPY")
"""The beginnings of an .npz and of an .npy file."""


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """The checked contents of a file."""

    images: NDArray[Any]
    """[N, T, H, W, C] uint8, or floats in [0, 1]; memory-mapped if they come from a folder."""
    factors: NDArray[Any]
    """[N, T or 1, F] with the values of the file; F = 0 if it has none."""
    names: str | None
    """The declaration of factors that the file itself holds, if it does."""
    contents: Contents


def fields_of_file(file: str, factors: str | None = None) -> dict[str, str | None]:
    """Open a file, and return the config fields that describe it: `data_file`, `data_factors` and `data_contents`.

    Args:
        file: path of an .npz or of a folder.
        factors: declaration of its factors, see `factors_of`; by default the file's own.

    Raises:
        UserError: it cannot be read, or its arrays cannot be trained on.
    """
    arrays = open_arrays(file)
    declared = _declared(file, arrays, factors)
    scaled_factors(arrays, declared)
    return {
        "data_file": absolute_path("data_file", file),
        "data_factors": ",".join(map(str, declared)) or None,
        "data_contents": str(arrays.contents),
    }


def with_contents(axes: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    """Add the config fields that describe a file of arrays to the values that a command asks for.

    Args:
        axes: values by field, such as a command line gives.

    Returns:
        The same values, with `data_factors` and `data_contents` if there is a file.

    Raises:
        UserError: several files are given, or the file does not hold what `data_contents` says; see `fields_of_file`.
    """
    values = {name: tuple(given) for name, given in axes.items()}
    if "arrays" not in values.get("dataset", ()) or not values.get("data_file"):
        return values
    for name in ("data_file", "data_factors", "data_contents"):
        if len(values.get(name, ())) > 1:
            how = "its factors with commas between" if name == "data_factors" else "one"
            raise UserError(f"{name} = {' '.join(map(str, values[name]))}: a sweep is of one file; give {how}.")
    (file,) = values["data_file"]
    fields = fields_of_file(file, *values.get("data_factors", ()))
    _check_contents(file, Contents.of(str(fields["data_contents"])), *values.get("data_contents", ()))
    if "levels" in values.get("split", ()) and fields["data_factors"]:
        arrays = open_arrays(file)
        if not resting(scaled_factors(arrays, factors_of(fields["data_factors"]))).any():
            raise UserError(
                f"split = levels holds out levels of what rests in a video, and in data_file = {file} every factor "
                "moves; use split = samples."
            )
    return values | {name: (value,) for name, value in fields.items() if value is not None}


def open_arrays(file: str, contents: str | None = None) -> Arrays:
    """Open a file, and make sure that it holds what is expected.

    Args:
        file: path of an .npz or of a folder.
        contents: what it must hold, in the form of `data_contents`.

    Raises:
        UserError: it cannot be read, holds something else, or cannot be trained on.
    """
    path = Path(absolute_path("data_file", file))
    try:
        parts = sorted(path.glob("*.npy")) if path.is_dir() else [path]
        for part in parts:
            check_regular(part)
        state = tuple((part.name, part.stat().st_size, part.stat().st_mtime_ns) for part in parts)
    except OSError as error:
        # With contents it was there when the sweep began.
        remedy = "put it back there, or a link to it" if contents else "give the path of an .npz or of a folder"
        raise UserError(f"data_file = {file} cannot be read: {error.strerror or error}; {remedy}.") from error
    arrays = _opened(path, state)
    _check_contents(file, arrays.contents, contents)
    return arrays


def _check_contents(file: str, found: Contents, expected: str | None = None) -> None:
    if expected is not None and str(found) != expected:
        raise UserError(
            f"data_file = {file} holds {found}, not data_contents = {expected}; give the file as it was, or choose "
            "another --name for what is trained on this one."
        )


@lru_cache(maxsize=2)
def _opened(path: Path, state: tuple[Any, ...]) -> Arrays:
    """Read and check a file once for each `state`: a file that has changed since is opened anew."""
    found = _loaded(path)
    if unknown := sorted(set(found) - {*NAMES}):
        raise UserError(
            f"data_file = {path} has an array {unknown[0]}, which means nothing here; name its arrays images, factors "
            "and factor_names, and take others out."
        )
    if "images" not in found:
        raise UserError(f"data_file = {path} has no array images; save it under that name.")
    images = _checked_images(path, found["images"])
    factors = _checked_factors(path, images, found.get("factors"))
    contents = Contents.of_shape(_digest(images, factors), images.shape)
    return Arrays(images=images, factors=factors, names=_names(path, found.get("factor_names")), contents=contents)


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if path.is_dir():
            return {part.stem: np.load(part, mmap_mode="r", allow_pickle=False) for part in sorted(path.glob("*.npy"))}
        with path.open("rb") as file:
            if not file.peek(1).startswith(_ARRAYS):
                raise UserError(
                    f"data_file = {path} is no .npz of plain arrays, nor a folder of .npy files; of films and other "
                    "files, save the frames by NumPy's savez(FILE, images=FRAMES)."
                )
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.ndarray):
                return {name: archive[name] for name in archive.files}
        raise UserError(f"data_file = {path} is one array; give an .npz, or the folder that has it as images.npy.")
    except OSError as error:
        raise UserError(f"data_file = {path} cannot be read: {error.strerror or error}.") from error
    except DAMAGE as error:
        objects = "allow_pickle" in str(error)
        why = "one is of Python objects; save names by astype(str), and numbers by astype(float)" if objects else error
        raise UserError(f"data_file = {path} is no .npz of plain arrays, nor a folder of .npy files: {why}.") from error


def _checked_images(path: Path, images: NDArray[Any]) -> NDArray[Any]:
    """Check images and return them as [N, T, H, W, C], without a copy."""
    if images.dtype not in _TYPES:
        why = f"images are {images.dtype.str if images.dtype.kind == 'f' else images.dtype}"
        how = "astype('float32')" + (" / 255, if 255 is white" if images.dtype.kind in "iu" else "")
        raise UserError(f"data_file = {path}: {why}; give uint8, or floats in [0, 1], such as by {how}.")
    given, colour = images.shape, images.shape[-1:] == (_COLOURS,)
    if images.ndim not in (3, 4) and not (images.ndim == 5 and colour):
        raise UserError(
            f"data_file = {path}: images are of shape {given}; give videos [N, T, H, W] or [N, T, H, W, 3], or still "
            "pictures [N, H, W] or [N, H, W, 3]."
        )
    if images.ndim == 3 or (images.ndim == 4 and colour):
        images = images[:, None]
    if not colour or images.ndim == 4:
        images = images[..., None]
    num_samples, num_frames, height, width, _ = images.shape
    if height != width or height not in SIDES:
        raise UserError(
            f"data_file = {path}: images are of {height}×{width} pixels (shape {given}), and networks take 32×32 or "
            "64×64; resize each frame before it is saved, for instance by Pillow's Image.fromarray(frame).resize((64, "
            "64), Image.Resampling.LANCZOS)."
        )
    if num_samples < FEWEST_SAMPLES or not num_frames:
        enough = f"{FEWEST_SAMPLES} samples or more, of a frame at least"
        raise UserError(f"data_file = {path}: images are of shape {given}; give {enough}.")
    _check_values(path, images)
    return images


def _check_values(path: Path, images: NDArray[Any]) -> None:
    """Make sure that 0 is black and white is white."""
    parts = [_least_and_most(part) for part in _parts(images)]
    low, high = (float(f([part[i] for part in parts])) for i, f in enumerate((np.min, np.max)))
    if images.dtype == np.uint8:
        if high <= 1:
            raise UserError(
                f"data_file = {path}: images are uint8 and none of their values is above 1, all but black; multiply "
                "them by 255."
            )
    elif not (low >= 0 and high <= 1):  # also of NaN
        raise UserError(
            f"data_file = {path}: images are {images.dtype} from {low:g} to {high:g}; floats must be in [0, 1] (divide "
            "those up to 255 by it), without NaN."
        )


def _least_and_most(part: NDArray[Any]) -> tuple[float, float]:
    return float(part.min()), float(part.max())  # of NaN, NaN


def _parts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the samples of an array, some at a time, so that an array on disk is never in memory as a whole."""
    step = max(1, _BYTES_AT_A_TIME * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(array[start : start + step])


def _checked_factors(path: Path, images: NDArray[Any], factors: NDArray[Any] | None) -> NDArray[Any]:
    """Check factors and return them as [N, T or 1, F]."""
    num_samples, num_frames = images.shape[:2]
    if factors is None:
        return np.zeros((num_samples, 1, 0), np.float32)
    per_frame = factors.ndim == 3
    if factors.ndim not in (2, 3) or not factors.shape[-1]:
        raise UserError(f"data_file = {path}: factors are of shape {factors.shape}; give [N, F] or [N, T, F].")
    expected = (num_samples, num_frames) if per_frame else (num_samples,)
    if factors.shape[:-1] != expected:
        raise UserError(
            f"data_file = {path}: factors are of shape {factors.shape}, and images of {num_samples} samples with "
            f"{num_frames} frames; give as many factors."
        )
    if factors.dtype.kind not in "fiub":
        raise UserError(f"data_file = {path}: factors are {factors.dtype}; give numbers.")
    if not np.isfinite(factors).all():
        raise UserError(f"data_file = {path}: factors hold NaN or infinite values; give finite numbers.")
    return factors if per_frame else factors[:, None]


def _names(path: Path, names: NDArray[Any] | None) -> str | None:
    if names is None:
        return None
    if names.ndim != 1 or names.dtype.kind != "U":
        raise UserError(f"data_file = {path}: factor_names are {names.dtype} {names.shape}; give [F] of text.")
    return ",".join(names.tolist())


def _digest(images: NDArray[Any], factors: NDArray[Any]) -> str:
    content = hashlib.sha256()
    for array in (images, factors):
        content.update(f"{array.dtype.str} {array.shape};".encode())
        for part in _parts(array):
            content.update(part.data if part.nbytes else b"")
    return content.hexdigest()[:32]


def _declared(file: str, arrays: Arrays, given: str | None) -> tuple[Factor, ...]:
    """Return the factors that are declared, by default by the file, after checking that they are as many as in it."""
    count = arrays.factors.shape[-1]
    text, source = (given, "data_factors") if given is not None else (arrays.names, f"data_file = {file}: factor_names")
    if text is None:
        if count:
            raise UserError(
                f"data_file = {file} has {count} factors without names; give data_factors = NAME,NAME, or add an array "
                "factor_names."
            )
        return ()
    declared = factors_of(text, source)
    if len(declared) != count:
        where = "the file" if given is None else f"data_file = {file}"
        raise UserError(
            f"{source} = {text} names {len(declared)} factors, and {where} has {count or 'none'}; give as many."
        )
    return declared


def scaled_factors(arrays: Arrays, declared: Sequence[Factor]) -> NDArray[np.float32]:
    """Scale the factors of a file to [0, 1]; the result is [N, T, F].

    Raises:
        UserError: a factor has the same value everywhere, or values too far apart for a number.
    """
    columns = [_scaled(arrays.factors[..., i], factor) for i, factor in enumerate(declared)]
    num_samples, num_frames = arrays.images.shape[:2]
    factors = np.stack(columns, axis=-1) if columns else np.zeros((num_samples, 1, 0))
    return np.broadcast_to(factors, (num_samples, num_frames, len(declared))).astype(np.float32)


def _scaled(values: NDArray[Any], factor: Factor) -> NDArray[np.float64]:
    levels = np.unique(values, return_inverse=True)[1].reshape(values.shape) if factor.category else values
    numbers: NDArray[Any] = levels.astype(np.float64)
    if factor.period:
        numbers = np.mod(numbers, factor.period)
    low, high = float(numbers.min()), float(numbers.max())
    if low == high:
        raise UserError(
            f"data_factors: {factor} has one value in all of data_file, and so no score; take it out of factors."
        )
    if math.isinf(high - low):
        raise UserError(f"data_factors: {factor} goes from {low:g} to {high:g}, too far for a number; scale it down.")
    return numbers / factor.period if factor.period else (numbers - low) / (high - low)


def resting(factors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the mask [F] of the factors, of [N, T, F], that change in no video."""
    rest: NDArray[np.bool_] = (factors == factors[:, :1]).all(axis=(0, 1))
    return rest
