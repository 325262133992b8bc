"""Tables as wide as the terminal. No column is cropped: one that does not fit is left out and named below the table."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dd_ray.errors import printable


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    header: str
    """Title of the column; it breaks between words where the values are narrower."""
    texts: Sequence[str]
    """The text of each row."""
    words: bool = False
    """True if the values are words, which are aligned left and may break into lines. Numbers never break."""
    least: int = 0
    """The fewest characters that a line of words is narrowed to."""
    rank: int = 0
    """Order in which columns are left out if the terminal is too narrow: the highest rank first, rank 0 never."""
    name: str = ""
    """Name of the column in the line that says what was left out; if empty, the header."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", printable(self.header))
        object.__setattr__(self, "texts", tuple(map(printable, self.texts)))

    @property
    def width(self) -> int:
        """The fewest characters that the column takes; Chinese ones, as an example, count as two."""
        header = max(map(cell_len, self.header.split()), default=0)
        longest = max(map(cell_len, self.texts), default=0)
        if self.words:
            longest = max(_longest_word(self.texts), min(longest, self.least))
        return max(header, longest)


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit a width, in their order, leaving out one after the other by descending rank."""
    kept = list(columns)
    while width_of(kept) > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept


def width_of(columns: Sequence[Column]) -> int:
    """Return the fewest characters that a table of these columns takes."""
    # A blank after each column, one between two, and one at each edge.
    return sum(column.width + 1 for column in columns) + len(columns) + 1


def print_table(columns: Sequence[Column], terminal: Console, title: str) -> None:
    """Print the columns that fit, below a title, and then the names of the others."""
    kept = fitting(columns, terminal.width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    left = terminal.width - width_of(kept)
    for column in kept:
        # Fixed, since Rich would narrow the numbers to make room for words.
        more = min(max(map(len, column.texts), default=0) - column.width, left) if column.words else 0
        left -= max(0, more)
        table.add_column(column.header, justify="left" if column.words else "right", width=column.width + max(0, more))
    for row in zip(*(column.texts for column in kept), strict=True):
        table.add_row(*map(Text, row))  # a text may hold brackets, which would be markup
    say(title, terminal)
    terminal.print(table)
    lacking = [column.name or column.header for column in columns if column not in kept]
    if lacking:
        say(f"Left out, since {terminal.width} columns do not hold them: {', '.join(lacking)}.", terminal)


def say(text: str, terminal: Console) -> None:
    """Print text with line breaks between words at the width of the terminal. Brackets in it are no markup."""
    terminal.print(printable(text, lines=True), markup=False, highlight=False, emoji=False)


def _longest_word(texts: Sequence[str]) -> int:
    return max((cell_len(word) for text in texts for word in text.split()), default=0)
