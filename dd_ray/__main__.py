"""Run a study of a user's own file by its name: `python -m dd_ray alpha_grid --extension my_studies.py`."""

import sys

from dd_ray.cli import main as run_study
from dd_ray.config.extensions import instances_of, taken_from
from dd_ray.errors import UserError, exit_on_user_error
from dd_ray.sweep import Study

USAGE = "give the name of a study and its file: python -m dd_ray NAME --extension FILE.py, and options of the study"


def main(args: list[str] | None = None) -> None:
    """Run the named study of the extensions that the command line names, as a file in `sweeps/` runs its own."""
    words = sys.argv[1:] if args is None else args
    with exit_on_user_error():
        study, rest = _study_of(words)
    run_study(study, rest)


def _study_of(words: list[str]) -> tuple[Study, list[str]]:
    if not words or words[0].startswith("-"):
        raise UserError(f"no study is named; {USAGE}.")
    name, rest = words[0], words[1:]
    taken_from(rest)
    known = {study.name: study for study in instances_of(Study)}
    if name not in known:
        raise UserError(f"the extensions have no study {name}, but {', '.join(known) or 'none at all'}; {USAGE}.")
    return known[name], rest


if __name__ == "__main__":
    main()
