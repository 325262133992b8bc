"""The paper's grid in a sitting: an ordinary sweep, made where Ray is and trained where it is not.

It travels as archives: `records.tar.gz` has its manifest, configs and metrics, `states-0.tar.gz` and so on the latest
states of some of its trials each. Unpacked into one folder they are a sweep that results, maps and report read, and
that the command in its manifest goes on with.
"""

import json
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from dd_ray.metrics import Code
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.training import Precision, StackMethod
from dd_ray.trial.pack import Pack
from dd_ray.trial.run import TrialRun
from dd_ray.trial.trainer import Progress, Work
from tests.benchmarks.gpu.record import archive

NAME = "paper"
RECORDS = "records.tar.gz"
WORK = "work.json"
TRIALS_AN_ARCHIVE = 9
SECONDS_BETWEEN_ARCHIVES = 30.0
STUDY = Path(__file__).parents[3] / "sweeps" / "inertia_grid.py"
SMALL = ("--batch-size", "2", "--iterations", "6", "--evaluations", "2", "--num-test", "8", "--gamma", "0", "0.5")


def prepare(out: Path, scratch: Path, small: bool) -> None:
    """Make the sweep, and its archive of records. Needs what a command line of a sweep needs, but for Ray."""
    # Not at the top: they bring tyro, which a lent machine is without.
    from dd_ray.cli import parse
    from dd_ray.sweep.manifest import make_manifest

    storage = ["--storage", str(scratch), "--name", NAME, "--pack", "on", "--final-metrics", "none"]
    smaller = [*SMALL, "--beta-norm", "0.1"] if small else []
    plan = parse(_study(), ["--preset", "paper", *storage, *smaller])
    sweep = SweepFolder.at(plan.location)
    sweep.write_manifest(make_manifest(plan, {}))
    for trial in plan.trials:
        sweep.trial(trial.key).create(trial.config.to_dict(), trial.label)
    work = {"keys": list(plan.keys), "evaluate_at": list(plan.evaluate_at), "hparams": list(plan.swept)}
    (scratch / NAME / WORK).write_text(json.dumps(work))
    pack_records(out, scratch)


def train_paper(
    out: Path,
    scratch: Path,
    *,
    device: torch.device,
    method: StackMethod,
    precision: Precision,
    seconds: float,
    tell: Callable[..., None],
) -> None:
    """Unpack the sweep, train all its trials in one pack until the time is over, and pack it again.

    Args:
        out: of the archives.
        scratch: where the sweep is meanwhile.
        device: to train on.
        method: of the pack.
        precision: of the trials.
        seconds: after which nothing more is trained.
        tell: takes what came out.
    """
    ends = time.monotonic() + seconds
    unpack(out, scratch)
    sweep, work = SweepFolder.open(str(scratch / NAME)), json.loads((scratch / NAME / WORK).read_text())
    pack = Pack(device.type, threads=1, method=method)
    left = [key for key in work["keys"] if sweep.trial(key).outcome() is None]
    runs = [_Run(pack, sweep, key, work=work, device=device, precision=precision) for key in left]
    begun, started = sum(run.reached for run in runs), time.perf_counter()
    threads = [threading.Thread(target=run.until, args=(ends,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(SECONDS_BETWEEN_ARCHIVES)
            pack_records(out, scratch)
    elapsed = time.perf_counter() - started
    pack_records(out, scratch)
    pack_states(out, scratch, work["keys"])
    done = sum(run.reached for run in runs) - begun
    ended = sum(sweep.trial(key).outcome() is not None for key in work["keys"])
    if errors := [run.error for run in runs if run.error]:
        tell(errors=len(errors), error=str(errors[0]))
    tell(trials=len(work["keys"]), ended=ended, trial_iterations=done, seconds=elapsed)
    if done:
        whole = len(work["keys"]) * work["evaluate_at"][-1]
        tell(trial_iterations_per_s=done / elapsed, minutes_for_the_whole_grid=whole / (done / elapsed) / 60)


class _Run:
    """A trial of the sweep, in a thread of its own."""

    def __init__(
        self,
        pack: Pack,
        sweep: SweepFolder,
        key: str,
        *,
        work: dict[str, Any],
        device: torch.device,
        precision: Precision,
    ) -> None:
        own = Work(
            sweep=sweep.location,
            key=key,
            evaluate_at=tuple(work["evaluate_at"]),
            device=device.type,
            threads=1,
            precision=precision,
            hparams=tuple(work["hparams"]),
        )
        trainer = _InPack(pack, own)
        self._run = TrialRun(own, lambda _: trainer)
        self.reached = trainer.began_at
        self.error: Exception | None = None

    def until(self, ends: float) -> None:
        """Train until it has ended or the time is over; then leave its state behind."""
        done = False
        try:
            while not done and time.monotonic() < ends:
                report = self._run.advance(max(0.1, min(3.0, ends - time.monotonic())))
                done, self.reached = report.state is not None, report.iteration
            self._run.close()
        except Exception as error:  # of a thread; told when all have ended
            self.error = error


class _InPack:
    """The trainer of a trial whose network a pack of this process trains."""

    def __init__(self, pack: Pack, work: Work) -> None:
        joined = pack.join(work)
        self._pack, self._member = pack, joined.member
        self.notes, self.began_at, self.frames_per_step = joined.notes, joined.began_at, joined.frames_per_step

    def train(self, seconds: float) -> Progress:
        return self._pack.train(self._member, seconds)

    def state(self, recorded: int) -> tuple[int, bytes] | None:
        return self._pack.state(self._member, recorded)

    def code(self) -> Code | None:
        raise NotImplementedError("a sitting takes no scores; `python -m dd_ray.evaluation` adds them")

    def untrained_scores(self, names: Sequence[str]) -> dict[str, float]:
        raise NotImplementedError("a sitting takes no scores; `python -m dd_ray.evaluation` adds them")

    def show(self, iteration: int, metrics: Any) -> None:
        self._pack.show(self._member, iteration, dict(metrics))

    def close(self, final: Any) -> None:
        self._pack.leave(self._member, final)


def pack_records(out: Path, scratch: Path) -> None:
    """All of the sweep but states and TensorBoard's files, well below a megabyte.

    Without drafts, whose names begin with a dot: trials write meanwhile, and a draft is gone when it is to be read.
    """
    files = [path for path in (scratch / NAME).rglob("[!.]*") if path.is_file()]
    records = [path for path in files if path.suffix != ".npz" and "tensorboard" not in path.parts]
    archive(out / RECORDS, scratch, records)


def pack_states(out: Path, scratch: Path, keys: Sequence[str]) -> None:
    """The latest state of each trial."""
    for index in range(0, len(keys), TRIALS_AN_ARCHIVE):
        folders = [scratch / NAME / "cells" / key for key in keys[index : index + TRIALS_AN_ARCHIVE]]
        # Their names hold the iteration, with as many digits in all.
        states = [path for folder in folders for path in sorted(folder.glob("state-*.npz"))[-1:]]
        archive(out / f"states-{index // TRIALS_AN_ARCHIVE}.tar.gz", scratch, states)


def unpack(out: Path, scratch: Path) -> None:
    """The sweep as archives of earlier sittings, or of `prepare`, have it."""
    for packed in [out / RECORDS, *sorted(out.glob("states-*.tar.gz"))]:
        with tarfile.open(packed) as file:
            file.extractall(scratch, filter="data")


def _study() -> Any:
    spec = spec_from_file_location("inertia_grid", STUDY)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.STUDY
