"""A cell as Ray Tune sees it: a shell around `CellRun`."""

import traceback
from typing import TYPE_CHECKING, Any

from ray import tune

if TYPE_CHECKING:
    from dd_ray.sweep.worker import CellRun


class CellTrainable(tune.Trainable):
    """Trains one cell. Its state is in the sweep's own files, so Tune's checkpoints stay empty.

    A worker is used for one cell after another, which saves the start of a process (about 3 s).
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Remember which cell it is.

        It is taken up at the first step and not here: Tune sets up a worker for a trial that meanwhile it
        has given to another worker, and two of them must not have the same cell's files.
        """
        self._work = config
        self._run: CellRun | None = None

    def step(self) -> dict[str, Any]:
        """Take the cell further, at first from its latest state."""
        if self._run is None:
            # Not at the top: the driver imports this module, and does without PyTorch.
            from dd_ray.sweep.worker import CellRun, Work  # noqa: PLC0415

            self._run = CellRun(Work(**self._work))
        return self._run.advance()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the cell and take up another."""
        try:
            self.cleanup()
        except Exception:
            # What the last evaluation left is complete; and Tune would blame the next cell, and give it up.
            traceback.print_exc()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Leave the cell."""
        run, self._run = self._run, None  # once, also where closing it fails
        if run is not None:
            run.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to do: the state is in the sweep's own files."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to do: the first step loads the latest state."""
