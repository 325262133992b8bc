"""Draw maps of a sweep's grid: `python analysis/grid_maps.py results/inertia_grid_quick`."""

from dd_ray.figures.grid_maps import main

if __name__ == "__main__":
    main()
