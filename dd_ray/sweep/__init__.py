"""A sweep as data, before anything runs. It needs neither Ray nor PyTorch.

study         a question, its presets and figures; space, samplers and schedulers are what it chooses from
options       what is asked beside trials; checks says which values are out of range
value_file    the same by file: `--config` and `--save-config`
exclusions    combinations that a grid leaves out; sampling draws some of its cells
existing      the values of a sweep that a command goes on with, its training stream among them
warm_start    the weights that trials begin with, where these are of another sweep
plan          a grid that was asked for and checked; search_plan a search, whose trials come as it goes
planned       a trial of a plan; data the files that a plan needs, and what a reader should know of them
confirmation  the plan of chosen cells with fresh seeds
source        where trials come from while a sweep runs; suggested is that of a search
suggestions   what a search has suggested, in Optuna's log
draws         Optuna's samplers by our names; cma_es is one of our own
deadline      when a sweep is to end; plateau when a trial is
costs         how long a plan takes; memory how much its trials take
manifest      what is recorded of a plan, and whether it goes together with what was asked for before
"""

from dd_ray.sweep.samplers import SamplerSpec
from dd_ray.sweep.schedulers import SchedulerSpec
from dd_ray.sweep.space import LogUniform, Uniform
from dd_ray.sweep.study import Preset, Search, Study

__all__ = ["LogUniform", "Preset", "SamplerSpec", "SchedulerSpec", "Search", "Study", "Uniform"]
