"""Train one config, or a small grid, without Ray: `python -m dd_ray.training --gamma 0 0.5 0.9`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.table import Table
from tqdm import tqdm

from dd_ray.command_line import as_command, called_as, console, optional, say_what_is_given_twice, with_help
from dd_ray.config import TrialConfig
from dd_ray.config.extensions import taken_from
from dd_ray.config.options import axes_of, given_options, option_name, options_class, product, told_in_options
from dd_ray.config.trial_fields import field_names
from dd_ray.config.urls import own_path
from dd_ray.errors import UserError
from dd_ray.storage.arrays import with_contents
from dd_ray.storage.exports import export, make_folder
from dd_ray.training import (
    Stack,
    Trial,
    TrialState,
    dump_state,
    group_into_stacks,
    keep_freed_memory,
    load_state,
    set_precision,
)

EXIT_DIVERGED = 1
MOST_THREADS = 1_024
"""The most threads, more than any machine has cores; with 100,000 of them PyTorch crashes."""
DEFAULTS: dict[str, tuple[Any, ...]] = {"model": ("inertia_vae",), "beta": (0.1,)}


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of training."""

    iterations: int = 200
    """Batches that every trial has learned from at the end, including those of a resumed checkpoint."""
    threads: Annotated[int | None, optional("N")] = None
    """CPU threads; by default as many as PyTorch chooses."""
    extension: Annotated[tuple[str, ...], optional("FILE.py [FILE.py ...]")] = ()
    """Python files of your own that declare models, networks, datasets, objectives or optimisers."""
    device: str = "cpu"
    """Device to train on: cpu, cuda, cuda:1, ..."""
    checkpoints: Annotated[str | None, optional("FOLDER")] = None
    """Folder of checkpoints KEY.npz: trials go on from those in it, and are written to it at the end."""

    def check(self) -> None:
        """Raise a `UserError` if a value is out of range."""
        if self.iterations < 1:
            raise UserError(f"--iterations {self.iterations} trains nothing; give 1 or more.")
        if self.threads is not None and self.threads < 1:
            raise UserError(f"--threads {self.threads} is out of range; give 1 or more.")
        if (self.threads or 0) > MOST_THREADS:
            raise UserError(f"--threads {self.threads} is out of range; give at most {MOST_THREADS:,}.")
        try:
            device = torch.empty(0, device=self.device).device
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"--device {self.device} is not available here; use cpu.") from error
        if device.type not in ("cpu", "cuda"):
            raise UserError(f"--device {self.device} trains nothing; give cpu or cuda.")
        if self.folder:
            make_folder(self.folder, "--checkpoints")

    @property
    def folder(self) -> Path | None:
        """The folder of checkpoints."""
        return None if self.checkpoints is None else own_path(self.checkpoints, "--checkpoints")


def main(args: list[str] | None = None) -> None:
    """Parse the command line, train, and print the results."""
    with as_command():
        _train_as_asked(sys.argv[1:] if args is None else args)


def _train_as_asked(args: list[str]) -> None:
    _, args = taken_from(args)
    own_options: Any = with_help(TrainingOptions)
    config_options: Any = options_class(DEFAULTS)
    options, config = tyro.cli(
        tuple[
            Annotated[own_options, tyro.conf.arg(name="")],
            Annotated[config_options, tyro.conf.arg(name="")],
        ],  # type: ignore[valid-type]
        prog=called_as("python -m dd_ray.training"),
        description=__doc__,
        args=args,
    )
    options.check()
    with told_in_options():
        axes = with_contents(axes_of(config, DEFAULTS, given_options(args)))
        configs = product(axes)
    say_what_is_given_twice(map(option_name, field_names()), args)
    diverged = train(configs, options, swept=[name for name, values in axes.items() if len(values) > 1])
    for trial in diverged:
        kept = " Its checkpoint is not written." if options.folder else ""
        print(
            f"diverged: {trial.config.key} by iteration {trial.iteration:,}: not all is finite.{kept}", file=sys.stderr
        )
    if diverged:
        sys.exit(EXIT_DIVERGED)


def train(configs: list[TrialConfig], options: TrainingOptions, swept: list[str]) -> list[Trial]:
    """Train the configs, stack by stack, with a progress bar; then save the trials and print them.

    Returns:
        The trials that diverged. They are not saved, and an older checkpoint of theirs stays.
    """
    keep_freed_memory()
    set_precision("float32")  # as in a sweep
    if options.threads:
        torch.set_num_threads(options.threads)
    # All are loaded before the first is trained, so that a bad checkpoint is reported at once.
    stacks = [_stack_of(group, options) for group in group_into_stacks(configs)]
    for stack in stacks:
        _train_stack(stack, options)
        for trial in stack:
            if (path := _checkpoint(trial.config, options)) and not _diverged(trial):
                export(path.parent, {path.name: dump_state(trial.state())}, "--checkpoints")
    trials = [trial for stack in stacks for trial in stack]
    console().print(_table(trials, swept))
    return [trial for trial in trials if _diverged(trial)]


def _diverged(trial: Trial) -> bool:
    """Return whether the last loss, or a weight after the last step, is not finite."""
    return trial.diverged or not bool(torch.isfinite(trial.weights).all())


def _stack_of(configs: list[TrialConfig], options: TrainingOptions) -> Stack:
    stack = Stack(device=options.device)
    stack.add_all((config, _state_of(config, options)) for config in configs)
    return stack


def _state_of(config: TrialConfig, options: TrainingOptions) -> TrialState | None:
    path = _checkpoint(config, options)
    state = load_state(path) if path and path.exists() else None
    if state and state.config.key != config.key:
        raise UserError(f"checkpoint {path} holds trial {state.config.key}, not the one it is named after.")
    return state


def _checkpoint(config: TrialConfig, options: TrainingOptions) -> Path | None:
    return options.folder / f"{config.key}.npz" if options.folder else None


def _train_stack(stack: Stack, options: TrainingOptions) -> None:
    remaining = sum(max(0, options.iterations - trial.iteration) for trial in stack)
    with tqdm(total=remaining, desc=f"{len(stack)} trials", unit="it", dynamic_ncols=True) as bar:
        for _ in range(options.iterations):
            unfinished = [trial for trial in stack if trial.iteration < options.iterations]
            if not unfinished:
                return
            stack.step_trials(unfinished)
            bar.update(len(unfinished))
            if bar.n % 20 == 0 and unfinished[0].terms is not None:
                bar.set_postfix(loss=f"{float(unfinished[0].terms.loss):.2f}", refresh=False)


def _table(trials: list[Trial], swept: list[str]) -> Table:
    losses = [{"loss": t.terms.loss, **t.terms.parts} if t.terms else {} for t in trials]
    columns = list(dict.fromkeys(name for loss in losses for name in loss))
    table = Table(title="Training batch losses, per video")
    for column in ["key", *swept, "iteration", *columns]:
        table.add_column(column, justify="right")
    for trial, loss in zip(trials, losses, strict=True):
        settings = [f"{getattr(trial.config, name)}" for name in swept]
        values = [f"{float(loss[name]):.4g}" if name in loss else "" for name in columns]
        table.add_row(trial.config.key, *settings, str(trial.iteration), *values)
    return table


if __name__ == "__main__":
    main()
