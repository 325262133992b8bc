"""A trial as Ray Tune sees it: a shell around `TrialRun`."""

import traceback
from typing import Any

from ray import tune

from dd_ray.config.extensions import load_extensions
from dd_ray.errors import UserError
from dd_ray.storage.files import is_blocked, out_of_space
from dd_ray.storage.versions import difference, versions
from dd_ray.trial.report import TrialReport
from dd_ray.trial.run import TrialRun
from dd_ray.trial.trainer import Work
from dd_ray.tune.pack_actors import PackTrainer, pack_here


class TrialTrainable(tune.Trainable):
    """Trains one trial. Its state is in the sweep's own files, so Tune's checkpoints stay empty.

    A worker is used for one trial after another, which saves the start of a process (about 3 s).
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Remember which trial it is.

        It is taken up at the first step and not here: Tune sets up a worker for a trial that meanwhile it
        has given to another worker, and two of them must not have the same trial's files.
        """
        self._config = config
        self._run: TrialRun | None = None
        self._reached = 0

    def step(self) -> dict[str, Any]:
        """Take the trial further, at first from its latest state.

        A storage without space, or one that does not answer, is no fault of the trial: it is reported, and the sweep
        ends.
        """
        try:
            run = self._run = self._run or self._take_up()
            report = run.advance()
            self._reached = report.iteration
            return report.to_tune()
        except OSError as error:
            if is_blocked(error):
                return TrialReport(iteration=self._reached, storage_blocked=str(error)).to_tune()
            if not out_of_space(error):
                raise
            return TrialReport(iteration=self._reached, storage_full=str(error)).to_tune()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the trial and take up another."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Leave the trial. What its last evaluation left is complete, so an error here is nobody's."""
        run, self._run = self._run, None  # once, also where closing it fails
        try:
            if run is not None:
                run.close()
        except Exception:
            traceback.print_exc()  # Tune would blame the next trial, and give it up

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to do: the state is in the sweep's own files."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to do: the first step loads the latest state."""

    def _take_up(self) -> TrialRun:
        work = {name: value for name, value in self._config.items() if name != "label"}
        # Also nodes that join later are asked, which the driver could not do before it started.
        if differs := difference(versions(), work.pop("versions")):
            raise UserError(f"this node has {differs}; install the same software on all nodes.")
        load_extensions(work["extensions"])
        packed = work.pop("packed")
        asked = Work(**work)
        return TrialRun(asked, PackTrainer(asked, pack_here(asked.device, asked.threads)) if packed else None)
