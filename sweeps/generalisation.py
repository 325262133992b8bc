"""Held-out positions: `python sweeps/generalisation.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.generalisation import STUDY

if __name__ == "__main__":
    main(STUDY)
