"""Arranges pictures: in a figure, laid out in inches, or enlarged on the sheets of an animation."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dd_ray.storage.exports import export

SIDE, GAP = 0.72, 0.05
"""Side of a picture in a figure, and gap between two, in inches."""
SHEET_SIDE = 128
"""Side of a picture in an animation, in pixels."""
FONT_SIZE = 13
GREYS = 64
"""Number of grey levels in animations: as many as the eye tells apart here, with half the bytes of 256."""

Picture = NDArray[np.uint8]
"""A picture: [H, W], or [H, W, 3] in colour."""


class Animation(NamedTuple):
    """The content of a GIF."""

    sheets: Sequence[Image.Image]
    milliseconds: int
    """Milliseconds that each sheet is shown."""
    pause: int = 0
    """Milliseconds that the last sheet is shown longer."""


@dataclass(frozen=True)
class Grid:
    """Rows of pictures with names; None leaves a blank."""

    rows: Sequence[tuple[str, Picture | Sequence[Picture | None]]]
    columns: Sequence[str]
    notes: Mapping[int, Sequence[str]]
    """Texts below the pictures of a row, by the row's index."""


class Sheet:
    """A figure that is laid out in inches from its upper left corner, so that pictures have whole pixels."""

    def __init__(self, width: float, height: float, title: str, subtitle: str) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), facecolor="white")
        # All pictures share axes, which are of inches: axes for each would take three times as long.
        self._inches = self.figure.add_axes((0, 0, 1, 1))
        self._inches.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self._inches.axis("off")
        self.write(0.1, 0.2, title, fontsize=10)
        self.write(0.1, 0.34, subtitle, fontsize=8, color="0.35", va="top")

    def write(self, x: float, y: float, text: str, **look: Any) -> None:
        """Write text with its middle at a height."""
        place: dict[str, Any] = {"fontsize": 8, "va": "center", "ha": "left"}
        self.figure.text(x / self.width, 1 - y / self.height, text, **place | look)

    def show(self, x: float, y: float, picture: Picture) -> None:
        """Show a picture with its upper left corner at a place."""
        extent = (x, x + SIDE, y + SIDE, y)
        look: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest", "aspect": "auto"}
        self._inches.imshow(picture, extent=extent, **look)

    def show_grid(self, x: float, y: float, grid: Grid) -> None:
        """Show rows of pictures, with the columns' names above and the rows' names to the left."""
        for column, name in enumerate(grid.columns):
            self.write(x + column * (SIDE + GAP) + SIDE / 2, y - 0.04, name, ha="center", va="bottom", fontsize=7.5)
        for row, (name, pictures) in enumerate(grid.rows):
            self.write(x - 0.08, y + SIDE / 2, name, ha="right")
            for column, picture in enumerate(pictures):
                if picture is not None:
                    self.show(x + column * (SIDE + GAP), y, picture)
            y += SIDE + GAP
            if row in grid.notes:
                for column, note in enumerate(grid.notes[row]):
                    self.write(x + column * (SIDE + GAP) + SIDE / 2, y + 0.06, note, ha="center", fontsize=7)
                y += 0.3


def picture_sheet(title: str, rows: Sequence[Sequence[tuple[str, Picture | None]]]) -> Image.Image:
    """Arrange captions and pictures, enlarged by whole numbers, below a title; in grey unless one has colours."""
    font = ImageFont.truetype(findfont("DejaVu Sans"), FONT_SIZE)
    line, margin, side = FONT_SIZE + 4, 8, SHEET_SIDE
    lines = [max(caption.count("\n") + 1 if caption else 0 for caption, _ in row) for row in rows]
    columns = max(map(len, rows))
    step = max(side, *(_text_width(font, caption) for row in rows for caption, _ in row)) + margin
    width = margin + max(columns * step, _text_width(font, title) + margin)
    top = margin + line * (title.count("\n") + 1) + margin // 2
    size = (width, top + sum(line * n + side + margin for n in lines))
    in_colour = any(picture is not None and picture.ndim > 2 for row in rows for _, picture in row)
    sheet = Image.new("RGB" if in_colour else "L", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((margin, margin), title, fill="black", font=font, spacing=4)
    for row, n in zip(rows, lines, strict=True):
        for column, (caption, picture) in enumerate(row):
            x = margin + column * step
            draw.multiline_text((x, top), caption, fill="black", font=font, spacing=2)
            if picture is not None:
                scale = SHEET_SIDE // len(picture)
                enlarged = picture.repeat(scale, axis=0).repeat(scale, axis=1)
                sheet.paste(Image.fromarray(enlarged), (x, top + line * n))
        top += line * n + side + margin
    return sheet


def _text_width(font: ImageFont.FreeTypeFont, text: str) -> int:
    return math.ceil(max(font.getlength(part) for part in text.split("\n")))


def write_gif(path: Path, animation: Animation) -> Path:
    """Write an animation, which repeats for ever.

    Raises:
        UserError: it cannot be written.
    """
    sheets, milliseconds, pause = animation
    size = max(sheet.width for sheet in sheets), max(sheet.height for sheet in sheets)
    coarser = [round(round(grey / 255 * (GREYS - 1)) * 255 / (GREYS - 1)) for grey in range(256)]
    frames = []
    for sheet in sheets:
        frames.append(Image.new(sheet.mode, size, "white"))
        frames[-1].paste(sheet.point(coarser * len(sheet.getbands())), (0, 0))
    durations = [milliseconds] * (len(frames) - 1) + [milliseconds + pause]
    content, more = io.BytesIO(), {"append_images": frames[1:], "duration": durations}
    frames[0].save(content, "GIF", save_all=True, loop=0, optimize=True, **more)
    return export(path.parent, {path.name: content.getvalue()})[0]
