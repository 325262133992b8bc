"""A cell as Ray Tune sees it: a shell around `CellRun`."""

from typing import TYPE_CHECKING, Any

from ray import tune

if TYPE_CHECKING:
    from dd_ray.sweep.worker import CellRun


class CellTrainable(tune.Trainable):
    """Trains one cell. Its state is in the sweep's own files, so Tune's checkpoints stay empty.

    A worker is used for one cell after another, which saves the start of a process (about 3 s).
    """

    run: "CellRun"

    def setup(self, config: dict[str, Any]) -> None:
        """Start the cell, or go on with it from its latest state."""
        # Not at the top: the driver imports this module, and does without PyTorch.
        from dd_ray.sweep.worker import CellRun, Work  # noqa: PLC0415

        self.run = CellRun(Work(**config))

    def step(self) -> dict[str, Any]:
        """Take the cell further."""
        return self.run.advance()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the cell and take up another."""
        self.run.close()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Leave the cell."""
        if hasattr(self, "run"):  # not where setup failed
            self.run.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to do: the state is in the sweep's own files."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to do: `setup` has loaded the latest state."""
