"""The family of VAEs on still images: `python sweeps/objective_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.objective_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
