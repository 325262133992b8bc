"""Tests of the files of the data, which are opened or checked before anything starts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.studies import study_named
from dd_ray.sweep.data import check_data, open_data
from dd_ray.sweep.plan import Plan


@pytest.mark.parametrize("look", [check_data, open_data])
def test_another_dsprites_file_is_told_in_options(look: Callable[[Plan], None], tmp_path: Path) -> None:
    file = tmp_path / "other.npz"
    plan = parse(study_named("sprites_grid"), ["--dataset", "dsprites", "--dsprites-file", str(file)])
    said = f"^--dsprites-file {re.escape(str(file))} cannot be read: .*; put the public file .* there, or give its path"
    with pytest.raises(UserError, match=said):
        look(plan)
    file.write_bytes(b"other")
    with pytest.raises(UserError, match=r"^--dsprites-file .* of its layout, --dsprites-md5 [0-9a-f]{32}\.$"):
        look(plan)
