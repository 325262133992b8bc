"""Command lines from dataclasses."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from dd_ray.command_line import optional, parse_options


@dataclass(frozen=True, kw_only=True)
class Base:
    many: tuple[int, ...] = (1, 2)
    """How many there are, in a docstring that goes on for
    more than a line of the source."""
    other: Annotated[float | None, optional("X")] = None
    """Another; as many where it is not given."""


@dataclass(frozen=True, kw_only=True)
class Options(Base):
    name: str
    """What it is
    called."""


def test_values_and_defaults_are_those_of_the_dataclass():
    options = parse_options(Options, ["--name", "a", "--many", "3"], "About.")
    assert isinstance(options, Options)
    assert (options.name, options.many, options.other) == ("a", (3,), None)


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
