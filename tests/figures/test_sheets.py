"""Sheets of pictures, and the animations that are made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dd_ray.errors import UserError
from dd_ray.figures.sheets import GAP, SIDE, Animation, Grid, Sheet, picture_sheet, write_gif


def frames_of(path: Path) -> list[np.ndarray[Any, Any]]:
    with Image.open(path) as animation:
        assert animation.info["loop"] == 0  # for ever
        frames = []
        for i in range(animation.n_frames):  # type: ignore[attr-defined]
            animation.seek(i)
            frames.append(np.asarray(animation.convert("L")))
        return frames


def test_an_animation_has_its_frames_at_one_size_and_their_pixels_enlarged(tmp_path: Path) -> None:
    picture = np.zeros((32, 32), np.uint8)
    picture[3, 5] = 255
    sheets = [picture_sheet(f"{'long ' * 20 * t}title {t}", [[("a", picture), ("b", picture.T)]]) for t in range(3)]
    frames = frames_of(write_gif(tmp_path / "new" / "a.gif", Animation(sheets, 100)))
    assert len(frames) == 3 and {frame.shape for frame in frames} == {(max(s.height for s in sheets), sheets[2].width)}
    assert sheets[2].width > sheets[0].width == 8 + 2 * (128 + 8)
    for x, (row, column) in ((8, (3, 5)), (8 + 136, (5, 3))):
        shown = frames[0][-136:-8, x : x + 128]
        assert (shown == np.kron(picture if x == 8 else picture.T, np.ones((4, 4)))).all()
        assert shown[4 * row, 4 * column] == 255
    assert (frames[0][:, -1] == 255).all() and (frames[2][:, -4:] == 255).all()  # no title runs out of it


def test_the_last_sheet_of_an_animation_stays_longer(tmp_path: Path) -> None:
    sheets = [Image.new("L", (8, 8), grey) for grey in (0, 100, 255)]
    with Image.open(write_gif(tmp_path / "a.gif", Animation(sheets, 250, pause=750))) as animation:
        durations = []
        for i in range(3):
            animation.seek(i)
            durations.append(animation.info["duration"])
    assert durations == [250, 250, 1000]


def test_an_animation_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_gif(tmp_path / "file" / "a.gif", Animation([Image.new("L", (8, 8))], 100))


def test_a_grid_leaves_gaps_between_its_pictures_and_what_is_none_blank() -> None:
    picture = np.zeros((32, 32), np.uint8)
    sheet = Sheet(4.0, 3.0, "title", "subtitle")
    sheet.show_grid(1.0, 1.0, Grid([("a", [picture, None, picture]), ("b", [picture])], ["1", "2", "3"], {0: ["note"]}))
    corners = [(left, top) for left, _, _, top in (shown.get_extent() for shown in sheet.figure.axes[0].images)]
    step = SIDE + GAP
    expected = [(1, 1), (1 + 2 * step, 1), (1, 1 + step + 0.3)]  # the second row is below the note
    np.testing.assert_allclose(corners, expected)
    assert [text.get_text() for text in sheet.figure.texts] == ["title", "subtitle", *"123", "a", "note", "b"]
