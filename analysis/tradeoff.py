"""Draw what disentanglement costs: `python analysis/tradeoff.py results/inertia_grid_quick`."""

from dd_ray.figures.tradeoff import main

if __name__ == "__main__":
    main()
