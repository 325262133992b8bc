"""Data: circles and sprites, rendered exactly, in batches that depend on seed and iteration alone; files of images."""

from dd_ray.data.batch import FACTORS, Batch
from dd_ray.data.dataset import Dataset, Paint
from dd_ray.data.regions import Regions, circle_regions
from dd_ray.data.registry import held_out_pictures, held_out_stills, make_dataset, render_stills, still_images
from dd_ray.data.rendering import render_circles
from dd_ray.data.split import Levels
from dd_ray.data.streams import Generators, Stream, generator

__all__ = [
    "FACTORS",
    "Batch",
    "Dataset",
    "Generators",
    "Levels",
    "Paint",
    "Regions",
    "Stream",
    "circle_regions",
    "generator",
    "held_out_pictures",
    "held_out_stills",
    "make_dataset",
    "render_circles",
    "render_stills",
    "still_images",
]
