"""The model variants as trainables of Ray Tune, for a `tune.Tuner` of one's own: without a sweep, its folder or packs.

`dd_ray.tune.trainable` makes the class of a variant. What its trials read and report is said at `VariantTrainable`.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
from ray import tune

from dd_ray.command_line import field_docs
from dd_ray.config import MODELS, TrialConfig, config_fields
from dd_ray.config.effects import takes
from dd_ray.config.extensions import Extension, load_extensions, load_files, loaded
from dd_ray.config.field import option_of
from dd_ray.config.options import field_named
from dd_ray.config.trial_fields import TrialFields, defaults, option_classes
from dd_ray.errors import UserError
from dd_ray.storage.files import LocalFiles
from dd_ray.trial.trainer import Precision

ITERATIONS, DEFAULT_ITERATIONS = "iterations", 100
STATE = "state.npz"
"""File of a Tune checkpoint that holds all of it: weights, optimiser's state, iteration and config, without pickle."""


class VariantTrainable(tune.Trainable):
    """A model variant that Ray Tune trains, one config a trial.

    The config has the fields of a `TrialConfig` but for `model`, by name, and `iterations`: how many batches there are
    between two reports. Fields that are left out have their defaults.

    Each report has the metrics of an evaluation on held-out data, by the names of `dd_ray.metrics.REPORTED`, NaN where
    there is no value; `iteration`, how many batches the network has learned from; and `diverged`. A trial whose loss is
    no longer finite ends with `diverged` true and NaN for all metrics.

    A checkpoint of another trial is taken over with its weights, its optimiser's state and its iteration, wherever the
    network is of the same shape; everything else is as this trial's config says. A γ or α that is learned is one of the
    weights. Ray gives the share of a GPU that `tune.with_resources` asks for, and a trial with one trains there.
    """

    model: ClassVar[str]
    extensions: ClassVar[tuple[Extension, ...]] = ()
    precision: ClassVar[Precision] = "float32"

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a trial; a `UserError` says what is wrong with its config."""
        load_extensions(self.extensions)  # first, since they bring fields
        self._begin(config)

    def step(self) -> dict[str, Any]:
        """Train for the iterations between two reports, and evaluate."""
        report = self._trial.advance(self._iterations)
        diverged = report.state == "diverged"
        return {**report.metrics, "iteration": report.iteration, "diverged": diverged, "done": diverged}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the trial's state into a folder of Tune's."""
        LocalFiles(Path(checkpoint_dir)).write(STATE, self._trial.state(), durable=False)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from the state in a folder, of this trial or of another one.

        Raises:
            UserError: it is damaged, or of a network of another shape.
        """
        from dd_ray.training import load_state  # noqa: PLC0415

        self._trial.take_over(load_state(Path(checkpoint) / STATE))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this process, which keeps nothing of the one before."""
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """Let go of the network."""
        self.__dict__.pop("_trial", None)  # there is none after a `setup` that failed

    def _begin(self, config: Mapping[str, Any]) -> None:
        # The driver, which has the class as well, does without PyTorch.
        from dd_ray.trial.standalone import StandaloneTrial  # noqa: PLC0415

        self.cleanup()
        asked, self._iterations = read_config(self.model, config)
        resources = self.trial_resources.required_resources if self.trial_resources else {}
        self._trial = StandaloneTrial(asked, "cuda" if resources.get("GPU") else "cpu", self.precision)


def variant(
    model: str, extensions: Sequence[str | Path] = (), precision: Precision = "float32"
) -> type[VariantTrainable]:
    """The trainable of a model variant; see `dd_ray.tune.trainable`."""
    load_files(extensions)
    if model not in MODELS:
        raise UserError(f"model = {model!r} is not one of {', '.join(MODELS)}.")
    if precision not in get_args(Precision):
        raise UserError(f"precision = {precision!r} is not one of {', '.join(get_args(Precision))}.")
    known = {"model": model, "extensions": loaded(), "precision": precision, "__doc__": _described(model)}
    return type(model, (VariantTrainable,), known)


def read_config(model: str, config: Mapping[str, Any]) -> tuple[TrialConfig, int]:
    """A trial and its iterations between two reports, from what Tune gives it.

    Args:
        model: the variant.
        config: values by field; also numbers of NumPy, as samplers draw them.

    Raises:
        UserError: there is no such field, or a value is not possible.
    """
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in config.items()}
    iterations = values.pop(ITERATIONS, DEFAULT_ITERATIONS)
    if type(iterations) is not int or iterations < 1:
        raise UserError(f"{ITERATIONS} = {iterations!r} trains nothing; give an integer of at least 1.")
    if values.pop("model", model) != model:
        raise UserError(f"model = {config['model']!r} in the config of {model}; give trainable({config['model']!r}).")
    known = [ITERATIONS, *(name for name in defaults() if name != "model")]
    if unknown := [name for name in values if name not in known]:
        meant = field_named(unknown[0]) or next(iter(difflib.get_close_matches(unknown[0], known)), None)
        remedy = f"give {meant}" if meant else f"the fields are {', '.join(known)}"
        raise UserError(f"{unknown[0]!r} is not a field of a trial's config; {remedy}.")
    return TrialConfig.from_dict({**values, "model": model}), iterations


def kept_in_range(config: dict[str, Any]) -> dict[str, Any]:
    """The config with each number in the range of its field, for `PopulationBasedTraining(custom_explore_fn=...)`.

    PBT multiplies what it mutates by 0.8 or 1.2, and a γ of 0.9 becomes 1.08, which no trial takes.
    """
    ranges = {field.name: option_of(field).within for field in config_fields()}
    kept = dict(config)
    for name, value in config.items():
        for within in ranges.get(name, ()) if isinstance(value, int | float) else ():
            kept[name] = type(value)(min(max(kept[name], within.low), within.high))
    return kept


def _described(model: str) -> str:
    """What `help` says of a variant: the fields that it reads, with their defaults."""
    classes: tuple[type, ...] = (TrialFields, *option_classes())
    docs = {name: doc for each in classes for name, doc in field_docs(each).items()}
    usual = {ITERATIONS: DEFAULT_ITERATIONS, **defaults()}
    docs[ITERATIONS] = "Batches between two reports."
    read = [name for name in usual if name != "model" and (name == ITERATIONS or takes(model, name))]
    fields = "\n".join(f"    {name} = {usual[name]!r}: {docs.get(name, '')}".rstrip(": ") for name in read)
    one = MODELS[model].one
    return f"{one[0].upper()}{one[1:]} that Ray Tune trains.\n\n{VariantTrainable.__doc__}\nConfig:\n{fields}\n"
