"""Keeps other commands from a sweep while it is copied, or written for the first time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from dd_ray.errors import UserError
from dd_ray.results.table import alive
from dd_ray.storage.files import LockedError
from dd_ray.storage.sweep_folder import SweepFolder


@contextmanager
def at_rest(sweep: SweepFolder, to_do: str) -> Iterator[None]:
    """Let no command run a sweep, or remove trials of it, during the block, which reads it.

    Of a sweep that may not be written, and so not be locked, the last sign of life is all that is known.

    Args:
        sweep: the sweep.
        to_do: what the block does with it, for messages.

    Raises:
        UserError: a command runs it.
    """
    with ExitStack() as held:
        try:
            held.enter_context(sweep.lock())
        except LockedError as error:
            raise UserError(f"{sweep.location} is being run, by {error.who}; {to_do} when it has ended.") from error
        except UserError:
            pass
        progress = alive(sweep)
        if progress and progress["running"]:
            raise UserError(f"{sweep.location} is being run; {to_do} when it has ended, a minute after its last sign.")
        yield


@contextmanager
def new_sweep(sweep: SweepFolder, remedy: str) -> Iterator[None]:
    """Let no other command write a sweep that does not exist yet during the block, which writes it.

    Args:
        sweep: the sweep.
        remedy: what to do where there is one, for messages.

    Raises:
        UserError: another command writes it, or has; or it cannot be written.
    """
    check_new(sweep, remedy)  # before its lock is put there
    with ExitStack() as held:
        try:
            held.enter_context(sweep.lock())
        except LockedError as error:
            raise UserError(f"{sweep.location} is being written, by {error.who}; {remedy}.") from error
        except UserError as error:
            why = getattr(error.__cause__, "strerror", None) or error
            raise UserError(f"{sweep.location} cannot be written ({why}); {remedy}.") from error
        check_new(sweep, remedy)
        yield


def check_new(sweep: SweepFolder, remedy: str) -> None:
    """Make sure that there is nothing in the place of a new sweep.

    Raises:
        UserError: there is.
    """
    if sweep.files.names():
        raise UserError(f"{sweep.location} holds files already; {remedy}.")
