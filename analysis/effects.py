"""Print the effects of a sweep's axes: `python analysis/effects.py results/inertia_grid_quick`."""

from dd_ray.figures.effects import main

if __name__ == "__main__":
    main()
