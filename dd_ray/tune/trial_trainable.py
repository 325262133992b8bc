"""The trainable of a sweep's trials, a shell around `TrialRun`."""

import logging
import traceback
from typing import Any

from ray import tune

from dd_ray.config.extensions import load_extensions
from dd_ray.errors import UserError
from dd_ray.storage.files import trouble
from dd_ray.storage.versions import difference, versions
from dd_ray.trial.report import TrialReport
from dd_ray.trial.run import TrialRun
from dd_ray.trial.trainer import Work
from dd_ray.tune.pack_actors import PackTrainer, pack_here


class TrialTrainable(tune.Trainable):
    """Trains one trial at a time. Its state is in the sweep's own files, so Tune's checkpoints are empty.

    A worker is reused for one trial after another, which saves the start of a process (about 3 s).
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Remember the trial to train.

        The trial is taken up at the first step and not here: Tune may set up a worker for a trial that it meanwhile
        gives to another worker, and only one of them may have the trial's files.
        """
        # It tells of each empty checkpoint, and a Ray of the caller's own prints what its workers log.
        logging.getLogger("ray.train").setLevel(logging.WARNING)
        self._config = config
        self._run: TrialRun | None = None
        self._reached = 0

    def step(self) -> dict[str, Any]:
        """Train the trial further, at first from its latest state.

        A storage that is full or read-only, or does not answer, is no fault of the trial: it is reported, and the sweep
        ends.
        """
        try:
            run = self._run = self._run or self._take_up()
            report = run.advance()
            self._reached = report.iteration
            return report.to_tune()
        except OSError as error:
            if (found := trouble(error)) is None:
                raise
            return TrialReport(iteration=self._reached, storage=found).to_tune()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Close the trial and take up another."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Close the trial. Its last evaluation is stored completely, so an error here is only printed."""
        run, self._run = self._run, None  # once, even if closing it fails
        try:
            if run is not None:
                run.close()
        except Exception:
            traceback.print_exc()  # raised, it would be counted as a failure of the next trial

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing, since the state is in the sweep's own files."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing, since the first step loads the latest state."""

    def _take_up(self) -> TrialRun:
        work = {name: value for name, value in self._config.items() if name != "label"}
        # The driver checks nodes that join later, but may not have come to this one yet.
        if differs := difference(versions(), work.pop("versions")):
            raise UserError(f"this node has {differs}; install the same software on all nodes.")
        load_extensions(work["extensions"])
        packed = work.pop("packed")
        asked = Work(**work)
        return TrialRun(asked, _in_pack if packed else None)


def _in_pack(work: Work) -> PackTrainer:
    return PackTrainer(work, pack_here(work.sweep, work.device, work.threads))
