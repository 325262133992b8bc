"""β × γ × λ: `python sweeps/inertia_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.inertia_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
