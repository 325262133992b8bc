"""β × λ: `python sweeps/prediction_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.prediction_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
