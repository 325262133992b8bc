"""The pages: links lead somewhere, commands are accepted, an example is quoted as it is, no metric is left out."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dd_ray.cli import parse
from dd_ray.metrics import FURTHER, REPORTED
from dd_ray.studies import study_named, study_names

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *(page for part in ("sweeps", "analysis", "cluster", "dd_ray") for page in (ROOT / part).rglob("*.md")),
]

OF_THE_READER = {"--extension", "--config", "--data-file", "--dsprites-file", "--help"}
"""Options that name files which only a reader has, and the one that ends the command."""


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def test_links_lead_somewhere():
    broken = []
    for page in PAGES:
        links = [a or b for a, b in re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', page.read_text(encoding="utf-8"))]
        local = [link for link in links if not re.match(r"https?://", link)]
        broken += [f"{page.relative_to(ROOT)}: {link}" for link in local if not _leads_somewhere(page, link)]
    assert broken == []


def _commands(page: Path) -> list[list[str]]:
    """Return the commands of studies in a page's blocks of shell and in its sentences: a study and its arguments."""
    text = page.read_text(encoding="utf-8")
    lines = (
        "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)).replace("\\\n", " ").splitlines()
    )
    quoted = [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    begun = [re.match(r"\s*(?:python sweeps/|dd-ray )(\w+)(?:\.py)?\b(.*)", line) for line in (*lines, *quoted)]
    return [[each[1], *shlex.split(each[2], comments=True)] for each in begun if each and each[1] in study_names()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_studies_are_accepted(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, *args in _commands(page):
        if not OF_THE_READER & {*args} and not any(arg.isupper() for arg in args):
            assert parse(study_named(name), args).num_trials


def test_the_page_of_metrics_names_them_all():
    text = (ROOT / "dd_ray" / "metrics" / "README.md").read_text(encoding="utf-8")
    columns = {name for name in REPORTED if not name.endswith("_active")}
    assert sorted((columns | {*FURTHER}) - {*re.findall(r"`([^`]+)`", text)}) == []


def test_the_example_of_a_model_is_quoted_as_it_is():
    page = (ROOT / "dd_ray" / "README.md").read_text(encoding="utf-8")
    (quoted,) = re.findall(r"```python\n(@dataclass.*?)```", page, re.DOTALL)
    example = (ROOT / "tests" / "extensions" / "blur_vae.py").read_text(encoding="utf-8")
    assert [part for part in quoted.strip().split("\n\n\n") if part not in example] == []


PART = "@dataclass(frozen=True, kw_only=True)\nclass BlurOptions"
"""Beginning of a block that is shown without the imports and the model of `tests/extensions/blur_vae.py`."""


def _python() -> dict[str, str]:
    """Return the blocks of Python of all pages, by names of files."""
    blocks = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return {
        f"{'_'.join(page.relative_to(ROOT).with_suffix('').parts)}_{i}.py": _whole(code)
        for page in PAGES
        for i, code in enumerate(blocks.findall(page.read_text(encoding="utf-8")))
    }


def _whole(code: str) -> str:
    if not code.startswith(PART):
        return code
    imports, _, _ = (ROOT / "tests" / "extensions" / "blur_vae.py").read_text(encoding="utf-8").partition("@dataclass")
    return f"{imports}class BlurVAE(VideoVAE): ...\n\n{code}"


@pytest.mark.slow
def test_the_python_of_the_pages_passes_the_checks_of_types_that_a_reader_s_own_code_passes(tmp_path):
    blocks = _python()
    assert len(blocks) >= 8
    for name, code in blocks.items():
        (tmp_path / name).write_text(code)
    words = ["--strict", "--follow-imports=silent", "--config-file=", "--cache-dir", str(tmp_path / "cache"), *blocks]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
