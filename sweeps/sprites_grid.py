"""β on sprites: `python sweeps/sprites_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.sprites_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
