"""`tests/sweep/small_grid.py` with nothing to draw at its end: `python -m tests.tune.without_figures`."""

from dataclasses import replace

from dd_ray.cli import main
from tests.sweep.small_grid import STUDY

if __name__ == "__main__":
    main(replace(STUDY, figures=()))
