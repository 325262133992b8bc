"""Writes a trial's TensorBoard run: scalars, pictures, and its hyperparameters beside its metrics."""

import io
import math
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams as hparams_summaries

from dd_ray.config import TrialConfig
from dd_ray.config.options import option_name
from dd_ray.metrics import ACTIVE, COMPARABLE, FURTHER, is_computed_once
from dd_ray.storage.files import Files, LocalFiles
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import TrialFolder, TrialRecords

JUDGED = "evaluation"
"""Group of the metrics that trials are judged by. Its name comes first in TensorBoard's alphabetical order."""
JUDGED_BY = (
    "reconstruction_error",
    "factor_error",
    "kl",
    "active_units",
    "prediction_ratio",
    "linear_r2",
    "linear_r2_stills",
    "mcc",
    "mcc_stills",
    "mig",
    "mig_stills",
    "dci_disentanglement",
    "nonlinear_r2",
    "block_r2_gap",
    "factor_vae",
)
"""Metrics of ours that are shown beside hyperparameters, if any trial has them; more would hide the axes."""
READ_FIRST = "events.out.tfevents.0000000000.hparams"
"""Event file of the hyperparameters of a run to which an axis was added, before all others in the order of names."""
ONCE = "final"
"""Group of the scores of the last evaluation, apart from the curves since they are single points."""


class Board:
    """The TensorBoard run of one trial.

    Scalars of the same kind share a prefix, by which TensorBoard groups its charts: the metrics that trials are judged
    by are under `evaluation`, terms and parts under their own names.
    """

    def __init__(
        self, files: Files, hparams: Mapping[str, Any], first_step: int, reported: Collection[str] = ()
    ) -> None:
        self._files, self._reported = files, reported
        # Object stores cannot append: the event file is written here, and uploaded as a whole.
        self._draft = None if files.local else tempfile.TemporaryDirectory(prefix="dd_ray-board-")
        folder = files.local or Path(self._draft.name)  # type: ignore[union-attr]
        self._writer = _opened(folder, files.names(), first_step)
        self._hparams = _named(hparams)

    def write(self, iteration: int, metrics: Mapping[str, float], pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write an evaluation: its metrics that have a value, and pictures [H, W(, 3)] by what they show."""
        for name, value in metrics.items():
            # Scores of active units alone are left to the table, since they mostly equal those of all latents.
            if math.isfinite(value) and not name.endswith(ACTIVE):
                self._writer.add_scalar(_tag(name), value, iteration)
        for name, picture in pictures.items():
            self._writer.add_image(name, picture, iteration, dataformats="HWC"[: picture.ndim])
        self._flush()

    def write_about(self, question: str, command: str, config: Mapping[str, Any]) -> None:
        """Write the sweep's question and command, and the trial's config, for TensorBoard's text tab."""
        rows = [f"| {option_name(name)} | {value} |" for name, value in config.items() if value is not None]
        texts = {"question": question, "command": f"    {command}", "config": "\n".join(["| | |", "|---|---|", *rows])}
        for name, text in texts.items():
            self._writer.add_text(name, text)
        self._flush()

    def write_hparams(self, metrics: Mapping[str, float | None]) -> None:
        """Write config and names of metrics, for TensorBoard's table and parallel coordinates of runs.

        The metrics have the names of scalars that are already written, so that TensorBoard shows one run and not two.
        It takes the columns from one of all runs: so each names what any trial of the sweep reports, and not only what
        a trial has that was ended before its last evaluation.
        """
        for summary in hparams_summaries(self._hparams, _judged(self._reported, metrics)):
            self._writer._get_file_writer().add_summary(summary)
        self._flush()
        if self._files.exists(READ_FIRST):
            self._files.write(READ_FIRST, _events_of(self._hparams, _judged(self._reported, metrics)), durable=False)

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
        if self._draft:
            self._draft.cleanup()

    def _flush(self) -> None:
        self._writer.flush()
        for path in Path(self._draft.name).iterdir() if self._draft else ():
            self._files.write(path.name, path.read_bytes())


def show_axes(sweep: SweepFolder, fields: Iterable[str], reported: Collection[str] = ()) -> None:
    """Show further fields as hyperparameters of the runs that a sweep has, since they have become axes.

    TensorBoard takes a run's hyperparameters from the first of its files that has any, and the columns of its table
    from one run. So those that were written before would hide the axis, also in runs that have it.

    Args:
        sweep: the sweep.
        fields: the fields to show.
        reported: the metrics that any of its trials reports.
    """
    fields = list(fields)

    def show(folder: TrialFolder) -> None:
        records = folder.sound()
        if records is None or not records.evaluations:
            return
        files = sweep.files.at("tensorboard", records.label)
        with suppress(OSError):  # what is in the way of a run's files is the trial's own to tell, once it goes on
            if any(name.startswith("events.") for name in files.names()):
                files.write(READ_FIRST, content_of(records), durable=False)

    def content_of(records: TrialRecords) -> bytes:
        values = TrialConfig.from_dict(records.config).to_dict()
        last = records.evaluations[-1]
        metrics = {**last, **records.scores.get(last["iteration"], {})}
        return _events_of(_named({name: values[name] for name in fields}), _judged(reported, metrics))

    in_parallel(show, sweep.trials())


def _named(hparams: Mapping[str, Any]) -> dict[str, Any]:
    return {option_name(name): value for name, value in hparams.items() if value is not None}


def _judged(reported: Collection[str], metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Return the scalars that are shown beside hyperparameters, of which TensorBoard reads the names alone.

    Scores of a user's own are among them: whoever wrote one wants to compare trials by it.
    """
    own = [column for name, spec in FURTHER.items() if name not in FURTHER.ours for column in spec.columns]
    names = [name for name in (*JUDGED_BY, *own) if name in reported or metrics.get(name) is not None]
    return dict.fromkeys(map(_tag, names), 0.0)


def _events_of(hparams: Mapping[str, Any], judged: Mapping[str, float]) -> bytes:
    """Return the content of an event file that holds hyperparameters and nothing else."""
    now, content = time.time(), io.BytesIO()
    writer = RecordWriter(content)
    writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for summary in hparams_summaries(dict(hparams), dict(judged)):
        writer.write(Event(wall_time=now, summary=summary).SerializeToString())
    return content.getvalue()


def _opened(folder: Path, earlier: Iterable[str], first_step: int) -> SummaryWriter:
    """Open an event file whose points from a step on replace those that a lost run wrote to its `earlier` files.

    TensorBoard reads a run's files in the order of their names, and purges from the files before. A name tells the
    second of its opening, then the process: a file that would come too early is opened again in the next second.
    """
    before = {name for name in earlier if name.startswith("events.")}
    for again in (True, False):
        writer = SummaryWriter(str(folder), purge_step=first_step)
        (opened,) = {path.name for path in folder.glob("events.*")} - before
        if opened > max(before, default="") or not again:
            break
        writer.close()
        LocalFiles(folder).remove(opened)
        time.sleep(1)
    return writer


def _tag(metric: str) -> str:
    """Return the group and name under which TensorBoard shows a metric."""
    if "/" in metric:
        return metric
    return f"{ONCE if is_computed_once(metric) and metric not in COMPARABLE else JUDGED}/{metric}"
