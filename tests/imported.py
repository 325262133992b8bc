"""What the commands of `tests.processes` have imported before they begin, since it takes seconds each time."""

import os

from dd_ray.tune.environment import prepare_environment

os.environ["RAY_AUTH_MODE"] = "token"  # as clusters of tests have it, and a sweep's own Ray; Ray reads it when imported
prepare_environment()  # as `dd_ray.tune` does before it imports Ray, which reads it then

import matplotlib.pyplot  # noqa: E402, F401
import ray.tune  # noqa: E402, F401
import torch  # noqa: E402, F401

import dd_ray.cli  # noqa: E402
import dd_ray.figures.traversals  # noqa: E402
import dd_ray.report  # noqa: E402
import dd_ray.results.suggestions  # noqa: E402
import dd_ray.training  # noqa: E402
import dd_ray.tune.run  # noqa: E402, F401
