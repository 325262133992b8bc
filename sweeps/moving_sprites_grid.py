"""β × γ on sprites that move, turn or grow: `python sweeps/moving_sprites_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.moving_sprites_grid import STUDY

if __name__ == "__main__":
    main(STUDY)
