"""Archives of files: what is written, in which order, and what is said of what cannot be."""

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dd_ray.errors import UserError
from dd_ray.storage.archives import extract_archive, folder_in, write_archive
from dd_ray.storage.files import open_files


def test_an_archive_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / "s.zip"
    with pytest.raises(
        UserError, match=r"s\.zip cannot be written \((Not a directory|File exists)\); choose another --out"
    ):
        write_archive(path, open_files(str(tmp_path)), ["file"], "s")


def test_folders_are_no_files_and_the_record_of_a_sweep_is_written_last(tmp_path: Path) -> None:
    """So that what an interrupt leaves is no sweep."""
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as packed:
        for name in ("s/", "s/sweep.json", "s/cells/", "s/cells/x"):
            packed.writestr(zipfile.ZipInfo(name) if name.endswith("/") else name, "")
        packed.mkdir("s/figures")
    written: list[str] = []
    files: Any = SimpleNamespace(local=None, write_parts=lambda name, parts: written.append(name))
    assert folder_in(tmp_path / "s.zip") == "s"
    extract_archive(tmp_path / "s.zip", files)
    assert written == ["cells/x", "sweep.json"]
