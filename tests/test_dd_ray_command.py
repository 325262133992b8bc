"""The command `dd-ray`: what it lists, whom it calls, and how a shell completes it."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from dd_ray import __main__ as command
from dd_ray import cli
from dd_ray.config.code import resolve
from dd_ray.config.extensions import load_files, unload
from dd_ray.config.trial_fields import SECTIONS, field_names, section_of
from dd_ray.errors import UserError
from dd_ray.figures import FIGURES
from dd_ray.studies import study_named, study_names
from dd_ray.sweep.options import SearchOptions
from tests.sweep.studies import STUDY_FILES

ALPHA = Path(__file__).parent / "extensions" / "alpha_study.py"


@pytest.fixture(autouse=True)
def own_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command names what it calls in the messages of its parser; that ends with the test."""
    monkeypatch.setattr(sys, "argv", ["test"])


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_it_lists_every_study_and_command_in_a_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command.main(words)
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    told = {line[0]: line[1] for line in lines}
    assert {name: told[name] for name in study_names()} == {name: study_named(name).question for name in study_names()}
    assert {name: told[name] for name in command.COMMANDS} == {n: c.about for n, c in command.COMMANDS.items()}


def test_every_study_has_a_script_and_no_name_means_two_things() -> None:
    assert [path.stem for path in STUDY_FILES] == study_names()
    assert not set(study_names()) & set(command.COMMANDS)


def test_every_command_is_there_and_every_figure_has_one() -> None:
    mains = {each.main for each in command.COMMANDS.values()}
    assert all(callable(resolve(main)) for main in mains)
    assert {f"dd_ray.figures.{figure}:main" for figure in FIGURES} <= mains


def test_a_study_is_run_by_its_name_and_a_command_by_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["beta_grid", "--dry-run", "--beta", "0.5", "--seeds", "2"])
    assert "2 trials = 2 seed" in capsys.readouterr().out
    for words, usage in ((["results", "--help"], "usage: dd-ray results "), (["maps", "-h"], "usage: dd-ray maps ")):
        with pytest.raises(SystemExit) as end:
            command.main(words)
        assert end.value.code == 0 and capsys.readouterr().out.startswith(usage)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["beta_gird"], "there is no study or command beta_gird; did you mean beta_grid? `dd-ray --help` lists all."),
        (["--dry-run"], "there is no study or command --dry-run; `dd-ray --help` lists all."),
        (["--print-completion", "fish"], "--print-completion fish: give bash or zsh."),
        (["tensorboard", "nowhere"], "nowhere/tensorboard is no folder"),
    ],
)
def test_what_there_is_not_is_one_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_a_study_of_one_s_own_may_not_take_a_name_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "taken.py").write_text(ALPHA.read_text().replace('name="alpha_grid"', 'name="beta_grid"'))
    load_files([tmp_path / "taken.py"])
    try:
        with pytest.raises(UserError, match="declares a study beta_grid, which there is already"):
            command.all_studies()
    finally:
        unload("taken.py")


COMPLETE = """
eval "$SCRIPT"
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _dd_ray; echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_shell_completes_names_options_and_choices(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    asked = {
        "dd-ray sl": "slowness_grid",
        "dd-ray inertia_grid --gam": "--gamma --gamma-schedule",
        "dd-ray inertia_search --sugg": "--suggestions",
        "dd-ray inertia_grid --sugg": "",
        "dd-ray inertia_grid --scheduler as": "asha",
        "dd-ray inertia_grid --model ine": "inertia_vae",
        "dd-ray inertia_grid --preset pa": "paper",
    }
    code = "".join(COMPLETE.format(words=words) for words in asked)
    done = subprocess.run(["bash", "-c", code], env={"SCRIPT": script}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == list(asked.values()), done.stderr


def test_help_has_the_twenty_most_used_options_first_and_the_others_by_what_they_are_about(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        cli.parse(study_named("inertia_search"), ["--help"])
    named = ["options", *(f"{name} options" for name in cli.GROUPS if name != "own")]
    parts: dict[str, list[str]] = {}
    shown = capsys.readouterr().out.partition("are drawn from.")[2]  # where the description ends
    for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines():
        text = line.strip("│╭╮─ ")  # a frame, where the terminal can show one
        if text in named:
            parts[text] = []
        elif text.startswith("--") and text.strip("-"):
            parts[list(parts)[-1]].append(text.split()[0].rstrip(",").removeprefix("--"))
    assert list(parts) == named
    assert len(parts["most used options"]) == len(cli.MOST_USED) == 20
    known = {*field_names(), *(field.name for field in fields(SearchOptions))}
    assert known >= cli.MOST_USED
    assert sum(len(options) for options in parts.values()) == len(known)
    assert {"address", "gamma", "lambda"} <= set(parts["most used options"])
    assert {"sampler", "suggestions"} <= set(parts["search options"])
    assert {"evaluations", "metric"} <= set(parts["sweep options"])
    assert {"max-concurrent", "pack"} <= set(parts["cluster options"])
    for part, option in {
        "model": "network",
        "objective": "tc-sampling",
        "data": "num-frames",
        "training": "seed",
    }.items():
        assert option in parts[f"{part} options"]


def test_an_option_of_an_extension_is_in_a_part_of_its_own() -> None:
    assert section_of("gamma") == "model" and section_of("learning_rate") == "training"
    assert [section_of(name) for name in ("model", "objective", "dataset", "batch_size")] == [*SECTIONS.values()]
    assert section_of("something_else") == "own"
