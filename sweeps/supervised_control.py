"""The encoder, told the factors: `python sweeps/supervised_control.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.supervised_control import STUDY

if __name__ == "__main__":
    main(STUDY)
