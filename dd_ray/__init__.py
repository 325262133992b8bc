"""Hyperparameter sweeps on Ray for the study of disentangled dynamics."""

from importlib.metadata import version

__version__ = version("dd_ray")
