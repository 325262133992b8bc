"""β on still images: `python sweeps/beta_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.beta_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
