"""Circles before Gaussian backgrounds: exact rendering, and batches that follow from seed and iteration."""

from dd_ray.data.batch import FACTORS, Batch
from dd_ray.data.circles import Dataset, make_dataset
from dd_ray.data.regions import Regions, circle_regions
from dd_ray.data.rendering import render_circles
from dd_ray.data.streams import Stream, generator

__all__ = [
    "FACTORS",
    "Batch",
    "Dataset",
    "Regions",
    "Stream",
    "circle_regions",
    "generator",
    "make_dataset",
    "render_circles",
]
