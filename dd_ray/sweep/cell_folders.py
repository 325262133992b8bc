"""The folders of a sweep's cells, made as the cells come to be trained."""

from dd_ray.sweep.plan import Cell
from dd_ray.sweep.store import SweepFolder, in_parallel


class CellFolders:
    """Opens folders, and gives each cell a label that no other has: it names a TensorBoard run.

    Args:
        sweep: with the folders of earlier cells, which keep their labels.
    """

    def __init__(self, sweep: SweepFolder) -> None:
        self._sweep = sweep
        folders = sweep.cells()
        described = in_parallel(lambda folder: folder.describe()["label"], folders)
        self._labels = {folder.key: label for folder, label in zip(folders, described, strict=True)}
        self._taken = set(described)

    def label_of(self, cell: Cell) -> str:
        """Its label; with a part of its key where another cell has that label."""
        if cell.key not in self._labels:
            label = f"{cell.label},key={cell.key[:6]}" if cell.label in self._taken else cell.label
            self._labels[cell.key] = label
            self._taken.add(label)
        return self._labels[cell.key]

    def open(self, *cells: Cell) -> None:
        """Make the folders of those that have none, and forget how the others ended, since they go on."""
        for cell in cells:
            self.label_of(cell)  # in their order
        in_parallel(self._open, cells)

    def _open(self, cell: Cell) -> None:
        folder = self._sweep.cell(cell.key)
        folder.create(cell.config.to_dict(), self._labels[cell.key])
        folder.reopen()
