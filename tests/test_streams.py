"""Commands on whatever streams they are started with: what they say, and the code that they end with."""

import os
import subprocess
import sys
from itertools import product

import pytest

from dd_ray.command_line.streams import in_ascii

BEGIN = (
    "import os, sys\nfrom dd_ray.command_line import as_command, outlive_output\nfrom dd_ray.errors import UserError\n"
)
PRINTS = "print('γ = ½ ± 0.1', flush=True)"


def ended(body, redirected="", **environment):
    """Run the lines as a command, with its streams redirected as a shell does, and return what it leaves."""
    program = (
        BEGIN + "with as_command('Interrupted; go on.'):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    )
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {redirected}', "bash", sys.executable, "-c", program],
        capture_output=True,
        check=False,
        timeout=60,
        env=os.environ | environment,
    )


@pytest.mark.parametrize(
    ("character", "typed"),
    [
        *[("γ", "gamma"), ("Σ", "Sigma"), ("λ", "lambda"), ("µ", "mu"), ("²", "2"), ("½", "1/2"), ("é", "e")],
        *[("−", "-"), ("─", "-"), ("│", "|"), ("┼", "+"), ("\u0302", ""), ("日", "\\u65e5"), ("\udcff", "\\udcff")],
    ],
)
def test_what_an_encoding_lacks_is_spelled(character, typed):
    assert in_ascii(character) == typed


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [("ascii", b"gamma = 1/2 +- 0.1\n"), ("latin-1", b"gamma = \xbd \xb1 0.1\n"), ("utf-8", "γ = ½ ± 0.1\n".encode())],
)
def test_no_encoding_ends_a_command(encoding, printed):
    done = ended(PRINTS + "\nraise UserError('γ is 3')", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout) == (2, printed)
    assert done.stderr in (b"error: gamma is 3\n", "error: γ is 3\n".encode())


def test_a_name_of_bytes_that_are_no_text_is_printed():
    assert ended("print(os.fsdecode(b'a\\xff'))").stdout == b"a\\udcff\n"


FULL = b"stdout could not be written (No space left on device); what it lacks is lost.\n"


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (">&-", 0, b""),
        (">&- 2>&-", 0, b""),
        (">/dev/full", 1, FULL),
        ("2>&-", 0, b""),
        (" | true", 141, b""),
        ("<&-", 0, b""),
    ],
)
def test_a_command_ends_by_itself_where_it_cannot_print(redirected, code, said):
    done = ended("\n".join([PRINTS] * 2 + ["import time; time.sleep(0.3)", PRINTS]), redirected)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [(">/dev/full", 1, FULL), (" | true", 0, b""), (">&-", 0, b""), ("2>/dev/full", 0, b"")],
)
def test_work_goes_on_where_nothing_can_be_printed(tmp_path, redirected, code, said):
    file = tmp_path / "table"
    done = ended(
        f"outlive_output()\n{PRINTS}\nimport time; time.sleep(0.3)\n{PRINTS}\nopen({str(file)!r}, 'w')", redirected
    )
    assert (done.returncode, done.stderr) == (code, said)
    assert file.exists()


REDIRECTED = (">/dev/full", "2>/dev/full", "| true", ">&- 2>&-")
ENDS = (("raise UserError('no')", 2), ("sys.exit(7)", 7), ("raise KeyboardInterrupt", 130))


def _ends():
    """Each end and each redirection in turn; `-m slow` tries the others."""
    for number, (redirected, (end, code)) in enumerate(product(REDIRECTED, ENDS)):
        yield pytest.param(redirected, end, code, marks=() if number % 4 in (0, 1) else pytest.mark.slow)


@pytest.mark.parametrize(("redirected", "end", "code"), list(_ends()))
def test_the_code_of_an_end_is_that_of_its_reason(redirected, end, code):
    assert ended(f"outlive_output()\n{PRINTS}\n{end}", redirected).returncode == code


def test_no_file_of_a_command_gets_the_place_of_a_closed_stream():
    assert ended("sys.stderr.write(str(os.open('/dev/null', 0) > 2))", ">&- <&-").stderr == b"True"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_each_line_is_written_at_once_where_python_is_asked_not_to_buffer(stream):
    result = ended(f"print('said', file=sys.{stream})\nos._exit(0)", PYTHONUNBUFFERED="1")
    assert getattr(result, stream) == b"said\n"


def test_an_error_of_the_command_itself_is_not_hidden():
    done = ended("raise OSError(28, 'of a file')")
    assert done.returncode == 1 and b"OSError: [Errno 28] of a file" in done.stderr


def test_a_program_keeps_its_streams():
    program = [
        "import io\nbefore = sys.stdout, sys.stderr\nwith as_command():\n    assert sys.stdout is not before[0]",
        "assert before == (sys.stdout, sys.stderr)\nsys.stdout = mine = io.StringIO()",
        "with as_command():\n    print('to me')\nassert mine.getvalue() == 'to me\\n'",
    ]
    command = [sys.executable, "-c", "\n".join([BEGIN, *program])]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


def test_a_study_speaks_in_any_encoding():
    command = [sys.executable, "sweeps/inertia_grid.py", "--dry-run"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"(gamma)" in done.stdout
