"""What a sweep is, and running it on Ray Tune.

What is asked for    study, space, options, checks, costs, plan, search_plan, manifest
Where it is kept     files/, store, trial_folders, states, versions
On a cluster         environment, joining, cluster, autoscaler, nodes, sharing, signals
Trials in Ray Tune   run, rounds, in_order, rungs, progress, trainable; for a search run_search, searcher, suggestions
One trial             trial_run, board; trainer (what it needs), local_trainer (this process), trainee (its network)
Trials in one pack    pack (the process), pack_actors (on Ray, with the trainer of a trial in one), gpu_memory
"""

from dd_ray.sweep.space import LogUniform, Uniform
from dd_ray.sweep.study import Preset, Search, Study

__all__ = ["LogUniform", "Preset", "Search", "Study", "Uniform"]
