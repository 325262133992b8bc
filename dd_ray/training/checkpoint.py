"""A trial's state as bytes: a NumPy `.npz` archive, whose parts carry checksums and which no pickle is in.

`meta` holds format, iteration and config as JSON; `weights/NAME` and `square_avg/NAME` the arrays.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.training.trial import TrialState

FORMAT = "dd_ray trial 1"


def dump_state(state: TrialState) -> bytes:
    """The state as the content of a file."""
    meta = {"format": FORMAT, "iteration": state.iteration, "config": state.config.to_dict()}
    arrays = {"meta": np.array(json.dumps(meta))}
    for group, tensors in (("weights", state.weights), ("square_avg", state.square_avg)):
        arrays |= {f"{group}/{name}": tensor.numpy() for name, tensor in tensors.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def load_state(content: bytes | Path) -> TrialState:
    """The state that `dump_state` wrote, from its bytes or from a file of them.

    Raises:
        UserError: it cannot be read, is damaged, or is no such checkpoint.
    """
    name = f"checkpoint {content}" if isinstance(content, Path) else "the checkpoint"
    try:
        source = content if isinstance(content, Path) else io.BytesIO(content)
        with np.load(source, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            if meta["format"] != FORMAT:
                raise UserError(f"{name} has format {meta['format']!r}; this version reads {FORMAT!r}.")
            return TrialState(
                config=TrialConfig.from_dict(meta["config"]),
                iteration=int(meta["iteration"]),
                weights=_group(archive, "weights"),
                square_avg=_group(archive, "square_avg"),
            )
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{name} is damaged or was not written by dd_ray ({error}).") from error


def _group(archive: np.lib.npyio.NpzFile, group: str) -> dict[str, Tensor]:
    names = [name for name in archive.files if name.startswith(f"{group}/")]
    return {name.removeprefix(f"{group}/"): torch.from_numpy(archive[name]) for name in names}
