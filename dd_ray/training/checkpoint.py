"""A trial's state as bytes: a NumPy `.npz` archive, whose parts carry checksums and which no pickle is in.

`meta` holds format, iteration, config and the names of the arrays as JSON; `weights/NAME` and
`square_avg/NAME` are the arrays.
"""

import io
import json
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.training.trial import TrialState

FORMAT = "dd_ray trial 1"

# RuntimeError and zlib.error: what zipfile raises where the archive says that it is encrypted or compressed.
# SyntaxError and TokenError: what numpy raises of the header of an array that is too long to have been summed by then.
_DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, EOFError, RuntimeError, SyntaxError),
    *(MemoryError, zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def dump_state(state: TrialState) -> bytes:
    """The state as the content of a file."""
    groups = {"weights": state.weights, "square_avg": state.square_avg}
    arrays = {f"{group}/{name}": tensor.numpy() for group in groups for name, tensor in groups[group].items()}
    meta = {
        "format": FORMAT,
        "iteration": state.iteration,
        "config": state.config.to_dict(),
        "arrays": list(arrays),
    }
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def load_state(content: bytes | Path) -> TrialState:
    """The state that `dump_state` wrote, from its bytes or from a file of them.

    Raises:
        UserError: it cannot be read, is damaged, or is not such a checkpoint.
    """
    name = f"checkpoint {content}" if isinstance(content, Path) else "the checkpoint"
    try:
        # Not by its path: numpy leaves a file open that turns out to be damaged.
        source = content.read_bytes() if isinstance(content, Path) else content
        with np.load(io.BytesIO(source), allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            if meta["format"] != FORMAT:
                raise UserError(f"its format is {meta['format']!r}; this version reads {FORMAT!r}.")
            # A damaged directory of the archive loses arrays without any other sign of it.
            if archive.files != ["meta", *meta["arrays"]]:
                raise ValueError("arrays are missing")
            return TrialState(
                config=TrialConfig.from_dict(meta["config"]),
                iteration=int(meta["iteration"]),
                weights=_group(archive, "weights"),
                square_avg=_group(archive, "square_avg"),
            )
    except UserError as error:
        raise UserError(f"{name} cannot be used: {error}") from error
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}.") from error
    except _DAMAGE as error:
        raise UserError(f"{name} is damaged or was not written by dd_ray ({error}).") from error


def _group(archive: np.lib.npyio.NpzFile, group: str) -> dict[str, Tensor]:
    names = [name for name in archive.files if name.startswith(f"{group}/")]
    return {name.removeprefix(f"{group}/"): torch.from_numpy(archive[name]) for name in names}
