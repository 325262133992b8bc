"""The command `dd-ray`, also `python -m dd_ray`: run a study by its name, or do something with its sweep."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from dd_ray.cli import main as run_study
from dd_ray.command_line import COMMAND, as_command, completion_script
from dd_ray.config.code import resolve
from dd_ray.config.extensions import named_in, taken_from
from dd_ray.config.options import option_name, options_class
from dd_ray.config.specs import CodeOrName
from dd_ray.config.trial_fields import choices_of, config_fields
from dd_ray.errors import UserError, did_you_mean
from dd_ray.planning import all_studies
from dd_ray.sweep import Study
from dd_ray.sweep.options import options_of
from dd_ray.sweep.value_file import ValueFile

SHELLS = ("bash", "zsh")


@dataclass(frozen=True)
class Command:
    """A subcommand of `dd-ray` that hands its arguments to another command line of the package."""

    about: str
    main: CodeOrName
    """The function that it calls, or `package.module:Name`, which is imported at the call."""


def tensorboard() -> None:
    """Run TensorBoard on a sweep, with options of its own after the sweep's folder or URL."""
    words = sys.argv[1:]
    if not words or words[0].startswith("-"):
        print(f"usage: {COMMAND} tensorboard PATH [options of tensorboard]")
        sys.exit(0 if words[:1] in (["-h"], ["--help"]) else 2)
    if "://" not in words[0] and not (logs := Path(words[0]) / "tensorboard").is_dir():
        raise UserError(f"{logs} is no folder; give that of a sweep, such as results/inertia_grid_quick.")
    from tensorboard.main import run_main  # noqa: PLC0415  # it takes seconds

    sys.argv = ["tensorboard", "--logdir", f"{words[0].partition('?')[0].rstrip('/')}/tensorboard", *words[1:]]
    run_main()


COMMANDS = {
    "results": Command("the state of a sweep and its best trials", "dd_ray.results.__main__:main"),
    "report": Command("a sweep as one HTML page to look through", "dd_ray.report.command:main"),
    "maps": Command("maps of metrics over the axes of a grid", "dd_ray.figures.grid_maps:main"),
    "effects": Command("what each axis changes, and two of them together", "dd_ray.figures.effects:main"),
    "tradeoff": Command("what disentanglement costs in reconstruction", "dd_ray.figures.tradeoff:main"),
    "search-results": Command("what a search found", "dd_ray.figures.search_results:main"),
    "held-out": Command("errors on held-out and on seen data", "dd_ray.figures.generalisation:main"),
    "entanglement": Command("which latent follows which factor", "dd_ray.figures.entanglement:main"),
    "traversals": Command("what networks show: traversals, videos, dreams", "dd_ray.figures.traversals:main"),
    "curves": Command("metrics in the course of training", "dd_ray.figures.learning_curves:main"),
    "contrasts": Command("what fresh seeds say of chosen cells", "dd_ray.figures.contrasts:main"),
    "reconstructions": Command("what networks make of a held-out video", "dd_ray.figures.reconstructions:main"),
    "errors": Command("where reconstructions fail", "dd_ray.figures.reconstruction_errors:main"),
    "merge": Command("the trials of several sweeps in a new one", "dd_ray.upkeep.merging:main"),
    "archive": Command("a sweep packed into one file, or unpacked", "dd_ray.upkeep.archive:main"),
    "remove": Command("trials taken out of a sweep, after a question", "dd_ray.upkeep.removal:main"),
    "tensorboard": Command("TensorBoard on the trials of a sweep", tensorboard),
    "evaluation": Command("further scores of the trials of a sweep", "dd_ray.evaluation.__main__:main"),
    "training": Command("one config, or a few, without Ray", "dd_ray.training.__main__:main"),
    "service": Command("sweeps on a cluster, from anywhere", "dd_ray.service.__main__:main"),
}
"""The subcommands that do not run a study."""


def main(args: list[str] | None = None) -> None:
    """Run the study or command that the first word names, with the rest as its options. Without words, list all."""
    with as_command():
        _run(sys.argv[1:] if args is None else args)


def _run(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help"):
        print(_listing())
        return
    name, rest = words[0], words[1:]
    if name == "--print-completion":
        print(_completion(rest))
        return
    command = COMMANDS.get(name)
    study = None if command else _study_named(name, rest)
    sys.argv = [f"{COMMAND} {name}", *rest]  # what --help and messages about wrong options call the command
    if study is not None:
        run_study(study)
    elif command is not None:
        resolve(command.main)()


def _study_named(name: str, rest: list[str]) -> Study:
    """Find a study by its name, among ours and those of the extensions that the rest of the command line names.

    Raises:
        UserError: there is none, or an extension cannot be loaded.
    """
    if not name.startswith("-"):
        taken_from(rest, otherwise=ValueFile.named_in(rest).words("extension"))
        known = all_studies()
        if name in known:
            return known[name]
    meant = did_you_mean(name, [*COMMANDS, *all_studies()])
    extensions, _ = named_in(rest)
    where = f", also none of {' '.join(extensions)}" if extensions else ""
    raise UserError(
        f"there is no study or command {name}{where}; {meant}{' ' if meant else ''}`{COMMAND} --help` lists all."
    )


def _listing() -> str:
    studies = {name: study.question for name, study in all_studies().items()}
    width = max(map(len, (*studies, *COMMANDS)))
    lines = [
        f"usage: {COMMAND} STUDY [options]     run a study, or go on with it; {COMMAND} STUDY --help lists its options",
        f"       {COMMAND} COMMAND [options]   look at a sweep, and more; {COMMAND} COMMAND --help says how",
        f"       {COMMAND} --print-completion {{{','.join(SHELLS)}}}",
        "",
        "studies (one of your own: its name, and --extension FILE.py):",
        *(f"  {name:{width}}  {question}" for name, question in studies.items()),
        "",
        "commands:",
        *(f"  {name:{width}}  {command.about}" for name, command in COMMANDS.items()),
    ]
    return "\n".join(lines)


def _completion(shells: list[str]) -> str:
    """Return the script that completes this command in a shell.

    Raises:
        UserError: there is no script for this shell.
    """
    if len(shells) != 1 or shells[0] not in SHELLS:
        raise UserError(f"--print-completion {' '.join(shells) or 'without a shell'}: give {' or '.join(SHELLS)}.")
    options: dict[str, list[str]] = {}
    choices = {option_name(field.name): list(choices_of(field)) for field in config_fields()}
    studies = all_studies()
    shared = [f"--{option_name(each.name)}" for each in fields(options_class({}))]
    for name, study in studies.items():
        own = options_of(study, study.default_preset)
        options[name] = [*(f"--{option_name(each.name)}" for each in fields(own)), *shared]
        for each, kind in get_type_hints(own).items():
            found = kind if get_origin(kind) is Literal else next(iter(get_args(kind)), None)
            choices[option_name(each)] = list(get_args(found)) if get_origin(found) is Literal else []
    choices["preset"] = list({preset: None for study in studies.values() for preset in study.presets})
    return completion_script(COMMAND, shells[0], [*options, *COMMANDS], options, choices)


if __name__ == "__main__":
    main()
