"""Archives of files: what cannot be written is said in a sentence."""

from pathlib import Path

import pytest

from dd_ray.errors import UserError
from dd_ray.storage.archives import write_archive
from dd_ray.storage.files import open_files


def test_an_archive_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / "s.zip"
    with pytest.raises(
        UserError, match=r"s\.zip cannot be written \((Not a directory|File exists)\); choose another --out"
    ):
        write_archive(path, open_files(str(tmp_path)), ["file"], "s")
