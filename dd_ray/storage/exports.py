"""Writes the files that a command makes for its user: figures, tables, pages and checkpoints, each as a whole."""

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from dd_ray.errors import UserError
from dd_ray.storage.files import LocalFiles


def export(folder: Path, contents: Mapping[str, bytes], option: str = "--out") -> list[Path]:
    """Write files into a folder, which is made if it does not exist, and return their paths.

    Args:
        folder: where to write.
        contents: the content of each file by its name.
        option: the option that chose the folder, for messages.

    Raises:
        UserError: the folder cannot be written, or something that is no file, such as /dev/null, has a file's name.
    """
    files = LocalFiles(folder)
    try:
        for path in (folder / name for name in contents):
            if path.exists() and not path.is_file():  # a device would be gone for all programs
                raise UserError(f"{path} is no file, and is not replaced by one; choose another {option}.")
        for name, content in contents.items():
            files.write(name, content, durable=False)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another {option}.") from error
    return [folder / name for name in contents]


def export_archive(archive: ZipFile, folder: Path, option: str) -> list[Path]:
    """Write all files of an archive into a folder, and return their paths. Names that lead out of it are not followed.

    Args:
        archive: what to unpack.
        folder: where to write.
        option: the option that chose the folder, for messages.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        return [Path(archive.extract(name, folder)) for name in archive.namelist()]
    except OSError as error:
        raise UserError(f"{option} {folder} cannot be written ({error.strerror}); choose another.") from error


def make_folder(folder: Path, option: str) -> None:
    """Make a folder and those above it, so that work does not begin for a folder that cannot be written.

    Args:
        folder: the folder to make.
        option: the option that chose it, for messages.

    Raises:
        UserError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{option} {folder} cannot be a folder: {error.strerror}.") from error
