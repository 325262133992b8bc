"""The declarations of the objectives. A new one is an entry here, and its penalty in `dd_ray/objectives/`."""

from typing import TYPE_CHECKING

from dd_ray.config.datasets import video_datasets
from dd_ray.config.specs import ObjectiveSpec, Registry
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig

_BETA = ("beta", "beta_norm", "beta_schedule")


def _check_tcvae(config: "TrialConfig") -> None:
    if config.batch_size < 2:
        raise UserError(f"batch_size = {config.batch_size} is too few for objective = tcvae; give at least 2.")
    if config.tc_num_data and config.tc_num_data < config.batch_size:
        raise UserError(
            f"tc_num_data = {config.tc_num_data} is less than batch_size = {config.batch_size}; give at least that."
        )
    if config.num_data < config.batch_size:
        raise UserError(
            f"batch_size = {config.batch_size} is more than the {config.num_data} samples of dataset = "
            f"{config.dataset} of which objective = tcvae takes a batch to be drawn; give at most that, or tc_num_data."
        )


def _check_slowness(config: "TrialConfig") -> None:
    _check_latents_in_time(config, 2, "two")


def _check_velocity(config: "TrialConfig") -> None:
    _check_latents_in_time(config, 3, "three")


def _check_latents_in_time(config: "TrialConfig", least: int, in_words: str) -> None:
    penalised = config.num_latents_in_time - config.traits.warm_up
    if penalised >= least:
        return
    needed = f"objective = {config.objective} needs {in_words} latents in time"
    if not config.of_videos:
        raise UserError(f"{needed}, and still pictures have one; use dataset = {' or '.join(video_datasets())}.")
    frames = config.frames + least - penalised
    longer = f"a data_file of videos of {frames} frames" if config.contents else f"num_frames = {frames}"
    raise UserError(f"{needed}, and {config.model} has {penalised} here; give {longer} or more.")


BETA = ObjectiveSpec(name="beta", title="β-VAE", penalty="dd_ray.objectives.beta:beta_penalty", reads=_BETA)
CAPACITY = ObjectiveSpec(
    name="capacity",
    title="controlled capacity",
    penalty="dd_ray.objectives.capacity:capacity_penalty",
    reads=("capacity_max", "capacity_weight", "capacity_schedule", "capacity_iterations"),
)
TCVAE = ObjectiveSpec(
    name="tcvae",
    title="β-TCVAE",
    penalty="dd_ray.objectives.tcvae:tcvae_penalty",
    reads=(*_BETA, "tc_sampling", "tc_num_data"),
    check=_check_tcvae,
)
SLOWNESS = ObjectiveSpec(
    name="slowness",
    title="SlowVAE",
    penalty="dd_ray.objectives.slowness:slowness_penalty",
    reads=(*_BETA, "slowness_weight", "slowness_rate"),
    check=_check_slowness,
)
VELOCITY = ObjectiveSpec(
    name="velocity",
    title="constant-velocity prior",
    penalty="dd_ray.objectives.velocity:velocity_penalty",
    reads=(*_BETA, "velocity_scale", "velocity_alpha"),
    check=_check_velocity,
)

OBJECTIVES = Registry("objective", [BETA, CAPACITY, TCVAE, SLOWNESS, VELOCITY])
