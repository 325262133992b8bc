"""Write a sweep as one HTML page to look through: `python analysis/report.py results/inertia_grid_quick`."""

from dd_ray.report.command import main

if __name__ == "__main__":
    main()
