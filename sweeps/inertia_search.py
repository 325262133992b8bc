"""β, γ and λ, searched: `python sweeps/inertia_search.py --help`."""

from dd_ray.cli import main
from dd_ray.studies.inertia_search import STUDY

if __name__ == "__main__":
    main(STUDY)
