"""Draw what networks make of a held-out video: `python analysis/reconstructions.py results/inertia_grid_quick`."""

from dd_ray.figures.reconstructions import main

if __name__ == "__main__":
    main()
