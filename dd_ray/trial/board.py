"""What TensorBoard shows of a trial: scalars, pictures, and its hyperparameters beside its metrics."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams as hparams_summaries

from dd_ray.config.options import option_name
from dd_ray.metrics import ACTIVE, COMPARABLE, FURTHER
from dd_ray.storage.files import Files

JUDGED = "evaluation"
"""Group of the metrics that trials are judged by; the first in TensorBoard's alphabetical order."""
JUDGED_BY = (
    "reconstruction_error",
    "factor_error",
    "kl",
    "active_units",
    "prediction_ratio",
    "linear_r2",
    "mcc",
    "mig",
    "mig_stills",
    "dci_disentanglement",
    "nonlinear_r2",
    "block_r2_gap",
    "factor_vae",
)
"""Metrics that stand beside hyperparameters, where a trial has them; more would hide the axes."""
ONCE = "final"
"""Group of the scores of the last evaluation: single points, which would clutter the curves."""


class Board:
    """TensorBoard run of one trial.

    Scalars of the same kind share a prefix, which is how TensorBoard groups its charts: what a trial is
    judged by under `evaluation`, terms and parts under their own names.
    """

    def __init__(self, files: Files, hparams: Mapping[str, Any], first_step: int) -> None:
        self._files = files
        # An object store takes no appending: the event file is written here, and put there as a whole.
        self._draft = None if files.local else tempfile.TemporaryDirectory(prefix="dd_ray-board-")
        folder = files.local or Path(self._draft.name)  # type: ignore[union-attr]
        # What a run that was lost has written from there on is written again.
        self._writer = SummaryWriter(str(folder), purge_step=first_step)
        self._hparams = {option_name(name): value for name, value in hparams.items() if value is not None}

    def write(self, iteration: int, metrics: Mapping[str, float], pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write an evaluation: its metrics that have a value, and pictures [H, W(, 3)] by what they show."""
        for name, value in metrics.items():
            # Scores of active units alone are in the table: mostly they are those of all latents again.
            if math.isfinite(value) and not name.endswith(ACTIVE):
                self._writer.add_scalar(_tag(name), value, iteration)
        for name, picture in pictures.items():
            self._writer.add_image(name, picture, iteration, dataformats="HWC"[: picture.ndim])
        self._flush()

    def write_about(self, question: str, command: str, config: Mapping[str, Any]) -> None:
        """Write what the trial is, for TensorBoard's text tab: the sweep's question and command, and the config."""
        rows = [f"| {option_name(name)} | {value} |" for name, value in config.items() if value is not None]
        texts = {"question": question, "command": f"    {command}", "config": "\n".join(["| | |", "|---|---|", *rows])}
        for name, text in texts.items():
            self._writer.add_text(name, text)
        self._flush()

    def write_hparams(self, metrics: Mapping[str, float | None]) -> None:
        """Write config and final metrics, for TensorBoard's table and parallel coordinates of runs.

        The metrics are those already written as scalars, so the run is one run and not two.
        """
        final = {name: metrics.get(name) for name in JUDGED_BY}
        shown = {_tag(name): value for name, value in final.items() if value is not None}
        for summary in hparams_summaries(self._hparams, shown):
            self._writer._get_file_writer().add_summary(summary)
        self._flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
        if self._draft:
            self._draft.cleanup()

    def _flush(self) -> None:
        self._writer.flush()
        for path in Path(self._draft.name).iterdir() if self._draft else ():
            self._files.write(path.name, path.read_bytes())


def _tag(metric: str) -> str:
    """Where TensorBoard shows a metric: a group and a name."""
    if "/" in metric:
        return metric
    once = metric == "active_units_stills" or any(metric in score.columns for score in FURTHER.values())
    return f"{ONCE if once and metric not in COMPARABLE else JUDGED}/{metric}"
