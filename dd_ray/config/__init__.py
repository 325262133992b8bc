"""The definition of a trial: `TrialConfig`, and the declarations of what it chooses by name.

trial         the config itself; trial_fields its fields, field what is known of each
specs         what a declaration is; code what it names
models, networks, datasets, objectives, optimizers   the declarations
effects       which fields have an effect beside which others
checks        rules that a config must obey
options       the config as a command line
labels        names of trials and of their TensorBoard runs
symbols       names of fields in words and symbols
schedules     what changes with the iteration
extensions    a user's own files; declarations is what they may declare, recorded what a sweep keeps of that
names, dsprites, arrays, urls   values, files and URLs that fields take
"""

from dd_ray.config.code import resolve
from dd_ray.config.datasets import DATASETS, video_datasets
from dd_ray.config.effects import has_effect
from dd_ray.config.field import Option, Within
from dd_ray.config.models import MODELS
from dd_ray.config.names import (
    BACKGROUND_FACTORS,
    BETAS,
    CIRCLE_FACTORS,
    DSPRITES_MD5,
    NUM_HELD_OUT,
    ONE_CIRCLE_FACTORS,
    SPRITE_FACTORS,
    Likelihood,
    Sampling,
    Schedule,
)
from dd_ray.config.networks import NETWORKS
from dd_ray.config.objectives import OBJECTIVES
from dd_ray.config.optimizers import OPTIMIZERS
from dd_ray.config.specs import DatasetSpec, ModelSpec, NetworkSpec, ObjectiveSpec, OptimizerSpec
from dd_ray.config.trial import TrialConfig, data_config, rounded_in_key
from dd_ray.config.trial_fields import config_fields, field_names, fields_with

__all__ = [
    "BACKGROUND_FACTORS",
    "BETAS",
    "CIRCLE_FACTORS",
    "DATASETS",
    "DSPRITES_MD5",
    "MODELS",
    "NETWORKS",
    "NUM_HELD_OUT",
    "OBJECTIVES",
    "ONE_CIRCLE_FACTORS",
    "OPTIMIZERS",
    "SPRITE_FACTORS",
    "DatasetSpec",
    "Likelihood",
    "ModelSpec",
    "NetworkSpec",
    "ObjectiveSpec",
    "OptimizerSpec",
    "Option",
    "Sampling",
    "Schedule",
    "TrialConfig",
    "Within",
    "config_fields",
    "data_config",
    "field_names",
    "fields_with",
    "has_effect",
    "resolve",
    "rounded_in_key",
    "video_datasets",
]
