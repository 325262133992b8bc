"""Draw what networks show: `python analysis/traversals.py results/inertia_grid_quick --cells best:linear_r2`."""

from dd_ray.figures.traversals import main

if __name__ == "__main__":
    main()
