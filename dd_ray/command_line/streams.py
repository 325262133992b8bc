"""Output on whatever a process was started with: another encoding, a closed or broken stream, a full disk."""

import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

SPELLED = "dd_ray.spelled"
"""Name of the way to write characters that an encoding does not have."""
_IN_ASCII = {"×": "x", "−": "-", "–": "-", "—": "-", "±": "+-", "·": "*", "…": "...", "≤": "<=", "≥": ">=", "→": "->"}
_IN_ASCII |= {"\u2044": "/", "∞": "inf", "‖": "|", "’": "'", "“": '"', "”": '"'}
_OF_BOXES = {"HORIZONTAL": "-", "VERTICAL": "|"}


class UnwrittenError(OSError):
    """Output cannot be written, as on a full disk."""


class _Output(io.FileIO):
    """A stream of this process, which keeps its first error. Where it is outlived, it drops what cannot be written."""

    def __init__(self, descriptor: int, outlived: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.outlived = outlived
        self.error: OSError | None = None

    def write(self, content: Any, /) -> int:
        """Write, and return the number of bytes that were taken."""
        try:
            return super().write(content)
        except OSError as error:
            self.error = self.error or error
            if self.outlived:
                return memoryview(content).nbytes
            if isinstance(error, BrokenPipeError):
                raise
            raise UnwrittenError(error.errno, error.strerror) from error


@contextmanager
def mended_streams() -> Iterator[None]:
    """During the block, print whatever the encoding is, and never to a stream that was closed.

    Characters that the encoding does not have are spelled: γ as gamma. What cannot be written to stderr is dropped; to
    stdout it raises `UnwrittenError`, or `BrokenPipeError` where nobody reads it any more, until `outlive_output` is
    called. Streams that a program has put in place of those of the process are left alone, but closed ones.
    """
    before = sys.stdout, sys.stderr
    _fill_closed()
    codecs.register_error(SPELLED, _spelled)
    sys.stdout, sys.stderr = _mended(sys.stdout, 1, False), _mended(sys.stderr, 2, True)
    try:
        yield
    finally:
        outlive_output()  # nothing can be done any more about what cannot be written
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # ValueError: it was closed
                stream.flush()
        sys.stdout, sys.stderr = before


def outlive_output() -> None:
    """Go on from now on where stdout cannot be written, since there is more to do than to print."""
    if (output := _output()) is not None:
        output.outlived = True


def output_error() -> OSError | None:
    """Return the error with which printing to stdout failed; None if it did not, or if a closed pipe is no failure."""
    output = _output()
    if output is None or (output.outlived and isinstance(output.error, BrokenPipeError)):
        return None
    return output.error


def _output() -> _Output | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Output) else None


def _fill_closed() -> None:
    """Open what the process was started without, so that no file or socket of its own gets that place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest that is free is the one that is opened
            os.open(os.devnull, os.O_RDWR)


def _mended(stream: TextIO | None, descriptor: int, outlived: bool) -> TextIO:
    if stream is not None and stream not in (sys.__stdout__, sys.__stderr__):
        return stream
    encoding, lines = "utf-8", True
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
        encoding, lines = stream.encoding, stream.line_buffering or stream.write_through
    # As Python's own: stderr, and a terminal, are written line by line, and all where PYTHONUNBUFFERED asks for it.
    return io.TextIOWrapper(io.BufferedWriter(_Output(descriptor, outlived)), encoding, SPELLED, line_buffering=lines)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(in_ascii, error.object[error.start : error.end])), error.end


def in_ascii(character: str) -> str:
    """Return a character as one would type it: γ as gamma, ² as 2, a box as lines; what else there is, by its code."""
    if character in _IN_ASCII:
        return _IN_ASCII[character]
    plain = unicodedata.normalize("NFKD", character)
    kind, _, name = unicodedata.name(plain[0], "").partition(" ")
    if kind == "GREEK" and " LETTER " in name:
        letter = name.split()[2].lower().replace("lamda", "lambda")
        return letter.capitalize() if name.startswith("CAPITAL") else letter
    if kind == "BOX":
        return _OF_BOXES.get(name.partition(" ")[2].partition(" ")[2], "+")
    if (kept := "".join(_IN_ASCII.get(each, each if each.isascii() else "") for each in plain)) or kind == "COMBINING":
        return kept
    return character.encode("ascii", "backslashreplace").decode()
