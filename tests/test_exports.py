"""Files that a command leaves for its user."""

import os
from pathlib import Path

import pytest

from dd_ray.errors import UserError
from dd_ray.storage.exports import export, make_folder
from dd_ray.storage.files import LocalFiles


def test_files_are_replaced_as_a_whole_in_a_folder_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for content in (b"first", b"2"):
        assert export(folder, {"x.csv": content}) == [folder / "x.csv"]
        assert (folder / "x.csv").read_bytes() == content
    assert [path.name for path in folder.iterdir()] == ["x.csv"]  # no draft is left


def test_what_cannot_be_written_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file cannot be written .* choose another --somewhere"):
        export(tmp_path / "file", {"x": b""}, "--somewhere")
    with pytest.raises(UserError, match=r"--somewhere .*file cannot be a folder"):
        make_folder(tmp_path / "file", "--somewhere")


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a pipe"])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")  # as a device, which a test cannot make
    (tmp_path / "folder").mkdir()
    (tmp_path / "link to a pipe").symlink_to("pipe")
    with pytest.raises(UserError, match=f"{kind} is no file, and is not replaced by one; choose another --out"):
        export(tmp_path, {"new": b"x", kind: b"x"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link to a pipe", "pipe"]
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link to a pipe").is_symlink()


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b", "--somewhere")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("letter", ["a", "β", "𝛽"])
def test_a_name_may_be_as_long_as_names_can_be(letter: str, tmp_path: Path) -> None:
    name = letter * (255 // len(letter.encode()))
    export(tmp_path, {name: b"x"})
    assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.parametrize(("content", "kept"), [(b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n"), (b"b", b""), (b"", b"")])
def test_a_line_that_was_cut_short_is_dropped(content: bytes, kept: bytes, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(content)
    files = LocalFiles(tmp_path)
    files.drop_cut_line("log")
    files.drop_cut_line("there is none")
    assert files.read("log") == kept
