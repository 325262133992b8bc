"""β × γ on two circles, one before the other: `python sweeps/two_circles_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.two_circles_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
