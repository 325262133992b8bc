"""Controlled capacity on sprites: `python sweeps/capacity_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.capacity_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
