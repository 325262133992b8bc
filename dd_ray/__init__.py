"""Hyperparameter sweeps on Ray for the study of disentangled dynamics."""

__version__ = "0.1.0"
