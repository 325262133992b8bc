"""Data: circles and sprites, rendered exactly, in batches that depend on seed and iteration alone; files of images.

registry               datasets, and still pictures, by name
dataset, batch         training batches and a held-out set
streams                random numbers by seed, stream and iteration
split, levels          what is trained on, and what is held out
circles, original      circles, and the original study's finite sets of them
sprites, dsprites      sprites of our own, and those of the public file
arrays                 a user's own images
motion, correlation    paths of what moves, and factors that depend on each other
rendering, canvases    pictures of circles, and what is painted on
occlusion, occluder    several circles, and a bar in front of all
conditions             noise, lost frames, the bar
stills, regions        held-out still pictures, and the parts of a picture
"""

from dd_ray.data.batch import FACTORS, Batch
from dd_ray.data.dataset import Dataset, Paint
from dd_ray.data.regions import Regions, circle_regions
from dd_ray.data.registry import (
    fetched_dataset,
    held_out_pictures,
    held_out_stills,
    make_dataset,
    render_stills,
    still_images,
)
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
    "fetched_dataset",
    "generator",
    "held_out_pictures",
    "held_out_stills",
    "make_dataset",
    "render_circles",
    "render_stills",
    "still_images",
]
