"""Results of sweeps as tables: `python -m dd_ray.results PATH`. They never need PyTorch.

table         load: a row for each trial and evaluation; final
joining       several sweeps as one: shared trials, and what differs between them
suggestions   the same of a search: a row for each suggestion
layout        which fields are axes, and where each stands in a map
averages      the means of cells over their seeds, all cells at once
summary       seeds summarised into the cells of a map
inference     intervals of cells by the pooled variance, the best, and what differs from 0
comparisons   which cells can be told apart: pooled variances, and marks that hold for a whole map
effects       what each axis changes, and two of them together
arms          what differs from β alone, and in what
sentences     what came out, in one or two sentences with intervals
confirmation  the best cells, and what fresh seeds say of them
equal_rates   arms at equal KL, over what both reach
timeline      when and where trials ran
tradeoffs     what is traded for what, and Pareto fronts
cells         combinations of swept values over their seeds
printing      tables of cells in the terminal
came_out      what a sweep prints of the trials that were asked for
paths         the sweeps that a command names
"""

from dd_ray.results.printing import print_cells
from dd_ray.results.table import alive, as_csv, final, load, manifest_of, open_all

__all__ = ["alive", "as_csv", "final", "load", "manifest_of", "open_all", "print_cells"]
