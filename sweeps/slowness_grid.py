"""A slowness prior on moving circles: `python sweeps/slowness_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.slowness_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
