"""What one trial is: a `TrialConfig`, and the names and sizes that it is made of.

trial     the config itself
names     the values that fields take, and what goes with what
datasets  what is known of each dataset
dsprites  the public dSprites file
arrays    files of one's own, and what they hold
traits    what each model needs, and what can be asked of it
effects   which fields have an effect beside which others
urls      what a URL must not hold, and paths
checks    what a config may not be
"""

from dd_ray.config.datasets import DATASET_INFO, MOVING, DatasetInfo
from dd_ray.config.effects import DECIDING, NEEDS, has_effect
from dd_ray.config.names import (
    BACKGROUND_FACTORS,
    CIRCLE_FACTORS,
    DATA_FIELDS,
    DSPRITES_MD5,
    IMAGE_SIZES,
    NOT_IN_KEY,
    NUM_HELD_OUT,
    SPRITE_FACTORS,
    Dataset,
    Likelihood,
    Model,
    Network,
    Objective,
    Sampling,
    Schedule,
)
from dd_ray.config.traits import TRAITS, Traits
from dd_ray.config.trial import TrialConfig, data_config
from dd_ray.config.urls import holds_key

__all__ = [
    "BACKGROUND_FACTORS",
    "CIRCLE_FACTORS",
    "DATASET_INFO",
    "DATA_FIELDS",
    "DECIDING",
    "DSPRITES_MD5",
    "IMAGE_SIZES",
    "MOVING",
    "NEEDS",
    "NOT_IN_KEY",
    "NUM_HELD_OUT",
    "SPRITE_FACTORS",
    "TRAITS",
    "Dataset",
    "DatasetInfo",
    "Likelihood",
    "Model",
    "Network",
    "Objective",
    "Sampling",
    "Schedule",
    "Traits",
    "TrialConfig",
    "data_config",
    "has_effect",
    "holds_key",
]
