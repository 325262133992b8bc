"""Progress bars: in a terminal, as lines now and then in a file, and as a widget in a notebook."""

import sys
from typing import Any

SECONDS_BETWEEN_LINES = 15
"""Seconds between two lines of progress, where the output is neither a terminal nor a notebook."""


class _Nowhere:
    """A file that drops what is written, for bars that are not shown: a bar that tqdm disables does not count."""

    def write(self, text: str) -> None:
        """Drop it."""

    def flush(self) -> None:
        """Do nothing, since nothing is kept."""


def progress_bar(shown: bool, **options: Any) -> Any:
    """Return a progress bar of tqdm that suits the output: a terminal, a file or a notebook.

    Args:
        shown: whether to show the bar; a hidden bar still counts.
        options: keyword arguments of tqdm.
    """
    # Not at the top: these imports are slow, as they look for a notebook, and few processes draw a bar.
    from tqdm import tqdm as plain  # noqa: PLC0415
    from tqdm.auto import tqdm as fitting  # noqa: PLC0415

    options["miniters"] = 1  # else, after many at once, tqdm shows the rate and the time left of some lines before
    if not shown:
        return plain(file=_Nowhere(), mininterval=SECONDS_BETWEEN_LINES, **options)
    watched = sys.stderr.isatty() or _is_widget(fitting)
    return fitting(dynamic_ncols=True, mininterval=0.5 if watched else SECONDS_BETWEEN_LINES, **options)


def _is_widget(kind: type) -> bool:
    return any(base.__module__ == "tqdm.notebook" for base in kind.__mro__)
