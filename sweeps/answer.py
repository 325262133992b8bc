"""Inertia, prediction and their rivals, each at its best: `python sweeps/answer.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.answer import STUDY

if __name__ == "__main__":
    main(STUDY)
