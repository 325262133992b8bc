"""Progress bars: in a terminal, as lines now and then in a file, and as a widget in a notebook."""

import sys
from typing import Any

SECONDS_BETWEEN_LINES = 15
"""Where the output is neither a terminal nor a notebook, the bar is a line now and then instead."""


class _Nowhere:
    """A file for what is not to be seen: a bar that is disabled does not count."""

    def write(self, text: str) -> None:
        """Drop it."""

    def flush(self) -> None:
        """Nothing waits."""


def progress_bar(shown: bool, **options: Any) -> Any:
    """A bar of tqdm, as fits where the output goes.

    Args:
        shown: whether it is to be seen; one that is not counts all the same.
        options: of tqdm.
    """
    # Not at the top: they are for who draws a bar, and look for a notebook.
    from tqdm import tqdm as plain  # noqa: PLC0415
    from tqdm.auto import tqdm as fitting  # noqa: PLC0415

    if not shown:
        return plain(file=_Nowhere(), mininterval=SECONDS_BETWEEN_LINES, **options)
    watched = sys.stderr.isatty() or _is_widget(fitting)
    return fitting(dynamic_ncols=True, mininterval=0.5 if watched else SECONDS_BETWEEN_LINES, **options)


def _is_widget(kind: type) -> bool:
    return any(base.__module__ == "tqdm.notebook" for base in kind.__mro__)
