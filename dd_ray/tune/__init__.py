"""Runs sweeps on Ray. Besides `dd_ray.service`, it is the only part of the package that imports Ray.

Before Ray is imported   environment, joining, signals; private has every name that Ray may change
The cluster              start, cluster, resources, gpus, nodes, autoscaler, sharing
Trials in Ray Tune       run, rounds, searcher, rungs, medians, progress, trial_trainable
What dies or hangs       pulse, stopped, last_words
Packs                    pack_actors
For one's own Tuner      trainables: `trainable` makes the class of a model variant
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dd_ray.config.names import Precision
    from dd_ray.tune.trainables import VariantTrainable

__all__ = ["trainable"]


def trainable(
    model: str, *, extensions: Sequence[str | Path] = (), precision: "Precision" = "float32"
) -> "type[VariantTrainable]":
    """Make a trainable of a model variant for your own `ray.tune.Tuner`; `help` of it lists the fields of its config.

    `tune.Tuner(trainable("inertia_vae"), param_space={"beta": 0.1, "gamma": tune.uniform(0, 1), "iterations": 500})`

    Args:
        model: name of the model, such as `inertia_vae`.
        extensions: paths of Python files of your own that declare models, networks, datasets, objectives or optimisers.
        precision: precision of matrix products and convolutions on a GPU.

    Raises:
        UserError: there is no such model, or a file does not load.
    """
    from dd_ray.tune.trainables import variant  # noqa: PLC0415  # other modules here have to come before Ray

    return variant(model, extensions, precision)
