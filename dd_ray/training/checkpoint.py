"""Converts a trial's state to bytes and back: a NumPy `.npz` archive, which has checksums and no pickles.

`meta` holds format, iteration, config, the names of the arrays and the iteration of the last evaluation on record as
JSON; the arrays are `weights/NAME` and, where the optimiser keeps them, `square_avg/NAME` and `gradient_avg/NAME`.
Before an array is read, what the archive and the headers of its arrays claim is checked: a small file that would unpack
to a large one, or ask for the memory of one, is none that was written here.
"""

import io
import json
import math
import threading
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.config.specs import KEPT
from dd_ray.errors import UserError
from dd_ray.storage.archives import DAMAGE
from dd_ray.training.trial import TrialState

FORMAT = "dd_ray trial 1"
GROUPS = ("weights", *KEPT)
LONGEST_META = 2**20
"""The most characters of `meta`: a config has 2,000, and the names of a network's arrays as many."""
_one_at_a_time = threading.Lock()
"""Held while an archive is read: NumPy has Python parse the header of each array, and Python 3.11 raises a SystemError
where threads parse at once (github.com/python/cpython/issues/106905)."""


def dump_state(state: TrialState) -> bytes:
    """Return the content of a checkpoint file with this state."""
    groups = {"weights": state.weights, **state.kept}
    arrays = {f"{group}/{name}": tensor.numpy() for group in groups for name, tensor in groups[group].items()}
    meta = {
        "format": FORMAT,
        "iteration": state.iteration,
        "config": state.config.to_dict(),
        "arrays": list(arrays),
        **({} if state.recorded is None else {"recorded": state.recorded}),
    }
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def load_state(content: bytes | str | Path) -> TrialState:
    """Load the state that `dump_state` wrote, from its bytes or from the path of a file.

    Raises:
        UserError: it cannot be read, is damaged, or is not such a checkpoint.
    """
    name = f"checkpoint {content}" if isinstance(content, str | Path) else "the checkpoint"
    try:
        # Not by its path, since numpy leaves a damaged file open.
        source = Path(content).read_bytes() if isinstance(content, str | Path) else content
        with _one_at_a_time, np.load(io.BytesIO(_checked(source)), allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            if meta["format"] != FORMAT:
                raise UserError(f"its format is {meta['format']!r}; this version reads {FORMAT!r}.")
            # If the archive's directory is damaged, arrays may be missing without any other sign.
            if archive.files != ["meta", *meta["arrays"]]:
                raise ValueError("arrays are missing")
            return TrialState(
                config=TrialConfig.from_dict(meta["config"]),
                iteration=_iteration(meta["iteration"]),
                weights=_group(archive, "weights"),
                square_avg=_group(archive, "square_avg"),
                gradient_avg=_group(archive, "gradient_avg"),
                recorded=_iteration(meta["recorded"]) if "recorded" in meta else None,
            )
    except UserError as error:
        raise UserError(f"{name} cannot be used: {error}") from error
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}.") from error
    except (*DAMAGE, TypeError, AttributeError, MemoryError) as error:  # `meta` may hold anything
        raise UserError(f"{name} is damaged or was not written by dd_ray ({error}).") from error


def _iteration(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"its iteration is {value!r}")
    return value


def _checked(content: bytes) -> bytes:
    """Return an archive, after making sure that it claims to hold what `dump_state` writes, and no more than it has.

    Raises:
        ValueError: it is not.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        # Members may overlap, so that each is as large as the file.
        if sum(member.file_size for member in members) > len(content):
            raise ValueError("its arrays are larger than the file")
        for member in members:
            with archive.open(member) as file:
                _check_header(member, *_header(file))
    return content


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return shape and type of an array, and the position at which its numbers begin."""
    if npy.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version of the format")
    shape, _, dtype = npy.read_array_header_1_0(file)
    return shape, dtype, file.tell()


def _check_header(member: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype[Any], start: int) -> None:
    group, _, name = member.filename.removesuffix(".npy").partition("/")
    if name:
        known = group in GROUPS and dtype == np.float32
    else:
        known = group == "meta" and dtype.kind == "U" and not shape and dtype.itemsize <= 4 * LONGEST_META
    if not known:
        raise ValueError(f"{member.filename!r} of type {dtype} is none of its arrays")
    if math.prod(shape) * dtype.itemsize != member.file_size - start:
        raise ValueError(f"{member.filename!r} has not the size that it claims")


def _group(archive: np.lib.npyio.NpzFile, group: str) -> dict[str, Tensor]:
    names = [name for name in archive.files if name.startswith(f"{group}/")]
    return {name.removeprefix(f"{group}/"): torch.from_numpy(archive[name]) for name in names}
