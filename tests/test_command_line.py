"""Command lines from dataclasses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

from dd_ray.cli import parse
from dd_ray.command_line import Seconds, as_called, checked_value, groups, optional, parse_options, plain_value
from dd_ray.errors import UserError
from dd_ray.results.paths import SweepPaths
from dd_ray.studies import study_named


@dataclass(frozen=True, kw_only=True)
class Base:
    many: tuple[int, ...] = (1, 2)
    """How many there are, in a docstring that goes on for
    more than a line of the source."""
    other: Annotated[float | None, optional("X")] = None
    """Another; as many where it is not given."""
    time: Annotated[Seconds | None, optional("TIME")] = None
    """For how long."""


@dataclass(frozen=True, kw_only=True)
class Options(Base):
    name: str
    """What it is
    called."""


@dataclass(frozen=True, kw_only=True)
class OfFiles:
    out_of: Path
    """A file."""


def test_values_and_defaults_are_those_of_the_dataclass():
    options = parse_options(Options, ["--name", "a", "--many", "3"], "About.")
    assert isinstance(options, Options)
    assert (options.name, options.many, options.other) == ("a", (3,), None)


@pytest.mark.parametrize(
    ("number", "digits"), [(np.float16(65504), 65500.0), (np.float32(0.1), 0.1), (np.finfo("f4").max, 3.4028235e38)]
)
def test_of_a_number_of_few_bits_the_digits_count_that_it_is_shown_with(number, digits):
    assert plain_value(number) == digits == float(str(number))


def test_a_url_is_no_path_of_this_machine():
    with pytest.raises(UserError, match=r"^--out-of s3:/bucket/a is a URL; give a path of this machine\.$"):
        parse_options(OfFiles, ["--out-of", "s3://bucket/a"], "About.")
    assert parse_options(OfFiles, ["--out-of", "s3/gs:a"], "About.").out_of == Path("s3/gs:a")


@pytest.mark.parametrize(
    ("options", "words", "said"),
    [
        (OfFiles, ["--out-of", ""], "--out-of"),
        (OfFiles, ["--out-of="], "--out-of"),
        (SweepPaths, [""], "the word"),
    ],
)
def test_an_empty_word_is_not_this_folder(options, words, said):
    with pytest.raises(UserError, match=rf"^{said} '' is empty; give a value, or leave it out\.$"):
        parse_options(options, words, "About.")


def test_help_is_in_paragraphs(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        parse_options(Options, ["--help"], "What it is for.")
    assert end.value.code == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "What it is for." in shown
    assert "What it is called. (required)" in shown
    assert "--other X Another; as many where it is not given." in shown


def test_a_line_of_the_source_is_no_line_of_the_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parse_options(Options, ["--help"], None)
    assert any("for more than a line" in line for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *[("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86400), ("45s", 45)],
        *[("1:30:00", 5400), ("100:00:00", 360_000), ("2:30", 150), ("90", 90), ("0.5", 0.5), ("1e3", 1000)],
    ],
)
def test_a_time_is_written_in_units_as_on_a_clock_or_in_seconds(written, seconds):
    (from_words, from_python) = (
        parse_options(Options, ["--name", "a", "--time", written], "About.").time,
        checked_value("time", written, Seconds | None),
    )
    assert from_words == from_python == seconds and type(from_words) is type(from_python) is Seconds


@pytest.mark.parametrize("written", ["soon", "2 hours", "1:75:00", "90x", "", ":30", True])
def test_what_is_no_time_is_refused_with_what_is_one(written, capsys):
    with pytest.raises(UserError, match="is no time; give seconds, or such as 90m, 2h or 1:30:00"):
        checked_value("time", written, Seconds | None)
    with pytest.raises(SystemExit, match="2"):
        parse_options(Options, ["--name", "a", "--time", str(written)], "About.")
    assert "is no time" in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["dd-ray inertia_grid", "--name", "a b"], "dd-ray inertia_grid --name 'a b'"),
        (["my sweeps/own.py", "--seeds", "3"], "python 'my sweeps/own.py' --seeds 3"),
        (["sweeps/inertia_grid.py"], "python sweeps/inertia_grid.py"),
    ],
)
def test_a_command_can_be_pasted_as_it_was_called(words, line):
    assert as_called(words) == line


GROUPED = [
    "--gamma 0.5 x",
    "--gamma -1 --num_latents=3 4",
    "--dry-run",
    "--no-dry-run",
    "-h",
    "--gama 1",
    "x --gamma 1",
]
GROUPED += ["--beta=", "--name -x", "--", "--exclude gamma=0 --exclude gamma=1", "--tyro-x", ""]


@pytest.mark.parametrize("line", GROUPED)
def test_only_what_a_command_gives_has_a_parser_and_nobody_sees_it(line, capsys, monkeypatch):
    def parsed():
        try:
            return vars(parse(study_named("inertia_search"), line.split()).options)
        except (SystemExit, UserError) as ended:
            return str(ended)

    lean, shown = parsed(), capsys.readouterr()
    monkeypatch.setattr(groups, "_needed", lambda names, args, given: names)
    assert (parsed(), capsys.readouterr()) == (lean, shown)


def test_no_parser_is_made_of_what_a_command_does_not_give():
    assert groups._needed({"beta", "gamma"}, ["--gamma", "-1"], {"gamma"}) == {"gamma"}
