"""Makes trainables of Ray Tune of the model variants, for your own `tune.Tuner`, without a sweep's folder or packs.

`dd_ray.tune.trainable` makes the class of a variant. `VariantTrainable` says what its trials read and report.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
from ray import tune

from dd_ray.config import MODELS, TrialConfig, config_fields
from dd_ray.config.effects import takes
from dd_ray.config.extensions import Extension, load_extensions, load_files, loaded
from dd_ray.config.field import option_of
from dd_ray.config.names import Precision
from dd_ray.config.options import docs_of_fields, field_named
from dd_ray.config.trial_fields import defaults
from dd_ray.errors import UserError, did_you_mean
from dd_ray.storage.files import LocalFiles

ITERATIONS, DEFAULT_ITERATIONS = "iterations", 100
STATE = "state.npz"
"""The only file of a Tune checkpoint: weights, optimiser's state, iteration and config, without pickles."""


class VariantTrainable(tune.Trainable):
    """A model variant that Ray Tune trains, with one config per trial.

    The config has the fields of a `TrialConfig` by name, except for `model`, and `iterations`, the number of batches
    between two reports. Fields that are left out have their defaults.

    Each report has the metrics of an evaluation on held-out data, by the names of `dd_ray.metrics.REPORTED`, NaN if
    there is no value; `iteration`, the number of batches that the network has learned from; and `diverged`. A trial
    whose loss is no longer finite ends with `diverged` true and NaN for all metrics.

    From a checkpoint of another trial, whose network must have the same shape, weights, optimiser's state and iteration
    are taken over; everything else follows this trial's config. A learned γ or α is one of the weights. A trial with a
    share of a GPU, which `tune.with_resources` asks for, trains there.
    """

    model: ClassVar[str]
    extensions: ClassVar[tuple[Extension, ...]] = ()
    precision: ClassVar[Precision] = "float32"

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a trial. If its config is wrong, a `UserError` says why."""
        load_extensions(self.extensions)  # first, since they bring fields of their own
        self._begin(config)

    def step(self) -> dict[str, Any]:
        """Train for the iterations between two reports, and evaluate."""
        report = self._trial.advance(self._iterations)
        diverged = report.state == "diverged"
        return {**report.metrics, "iteration": report.iteration, "diverged": diverged, "done": diverged}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the trial's state into a folder of Tune."""
        LocalFiles(Path(checkpoint_dir)).write(STATE, self._trial.state(), durable=False)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from the state in a folder, of this trial or of another one.

        Raises:
            UserError: it is damaged, or its network has another shape.
        """
        from dd_ray.training import load_state  # noqa: PLC0415

        self._trial.take_over(load_state(Path(checkpoint) / STATE))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this process. Nothing of the one before is kept."""
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """Drop the network."""
        self.__dict__.pop("_trial", None)  # there is none after a `setup` that failed

    def _begin(self, config: Mapping[str, Any]) -> None:
        # Not at the top: the driver imports this class as well, and needs no PyTorch.
        from dd_ray.trial.standalone import StandaloneTrial  # noqa: PLC0415

        self.cleanup()
        asked, self._iterations = read_config(self.model, config)
        resources = self.trial_resources.required_resources if self.trial_resources else {}
        self._trial = StandaloneTrial(asked, "cuda" if resources.get("GPU") else "cpu", self.precision)


def variant(
    model: str, extensions: Sequence[str | Path] = (), precision: Precision = "float32"
) -> type[VariantTrainable]:
    """Make the trainable of a model variant; see `dd_ray.tune.trainable`."""
    load_files(extensions)
    if model not in MODELS:
        raise UserError(f"model = {model!r} is not one of {', '.join(MODELS)}.")
    if precision not in get_args(Precision):
        raise UserError(f"precision = {precision!r} is not one of {', '.join(get_args(Precision))}.")
    known = {"model": model, "extensions": loaded(), "precision": precision, "__doc__": _described(model)}
    return type(model, (VariantTrainable,), known)


def read_config(model: str, config: Mapping[str, Any]) -> tuple[TrialConfig, int]:
    """Read a trial's config, and its iterations between two reports, from Tune's config.

    Args:
        model: name of the model.
        config: values by field, which may be numbers of NumPy, as samplers draw them.

    Raises:
        UserError: a field does not exist, or a value is not possible.
    """
    values = {name: value.item() if isinstance(value, np.generic) else value for name, value in config.items()}
    iterations = values.pop(ITERATIONS, DEFAULT_ITERATIONS)
    if type(iterations) is not int or iterations < 1:
        raise UserError(f"{ITERATIONS} = {iterations!r} trains nothing; give an integer of at least 1.")
    if values.pop("model", model) != model:
        raise UserError(f"model = {config['model']!r} in the config of {model}; give trainable({config['model']!r}).")
    known = [ITERATIONS, *(name for name in defaults() if name != "model")]
    if unknown := [name for name in values if name not in known]:
        field = field_named(unknown[0])
        remedy = f"give {field}." if field else did_you_mean(unknown[0], known, f"the fields are {', '.join(known)}.")
        raise UserError(f"{unknown[0]!r} is not a field of a trial's config; {remedy}")
    return TrialConfig.from_dict({**values, "model": model}), iterations


def kept_in_range(config: dict[str, Any]) -> dict[str, Any]:
    """Move each number into the range of its field, for `PopulationBasedTraining(custom_explore_fn=...)`.

    PBT multiplies numbers by 0.8 or 1.2, so that a γ of 0.9 becomes 1.08, which no trial accepts.
    """
    ranges = {field.name: option_of(field).within for field in config_fields()}
    kept = dict(config)
    for name, value in config.items():
        for within in ranges.get(name, ()) if isinstance(value, int | float) else ():
            kept[name] = type(value)(min(max(kept[name], within.low), within.high))
    return kept


def _described(model: str) -> str:
    """Return the `help` of a variant, which lists the fields that it reads with their defaults."""
    docs = {**docs_of_fields(), ITERATIONS: "Batches between two reports."}
    usual = {ITERATIONS: DEFAULT_ITERATIONS, **defaults()}
    read = [name for name in usual if name != "model" and (name == ITERATIONS or takes(model, name))]
    fields = "\n".join(f"    {name} = {usual[name]!r}: {docs.get(name, '')}".rstrip(": ") for name in read)
    one = MODELS[model].one
    return f"{one[0].upper()}{one[1:]} that Ray Tune trains.\n\n{VariantTrainable.__doc__}\nConfig:\n{fields}\n"
