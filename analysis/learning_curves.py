"""Draw learning curves of a sweep's cells: `python analysis/learning_curves.py results/inertia_grid_quick`."""

from dd_ray.figures.learning_curves import main

if __name__ == "__main__":
    main()
